"""Rules that no linter knows: each keeps one promise in one place."""

import ast
from functools import cache

from tests.architecture.sources import Module, modules_of, of_each

PORTAL = (*modules_of("portal"), *modules_of("wsgi"))
EVERYWHERE = (*PORTAL, *modules_of("gradio_apps"))

WALL_CLOCK = {"portal.clock"}
"""Who may read wall time in the portal."""
PROCESSES = ("portal.cli", "portal.demo", "portal.machine")
"""Who runs other processes; waiting for them is no decision."""


@cache
def calls(module: Module) -> tuple[tuple[str, int], ...]:
    """Return what *module* calls, as dotted text, with the line."""
    return tuple((ast.unparse(node.func), node.lineno) for node in ast.walk(module.tree) if isinstance(node, ast.Call))


@of_each(PORTAL)
def test_only_one_module_touches_the_browser_session(module: Module) -> None:
    """What stands in a session, and when its id changes, is decided in one place."""
    if module.name == "portal.web.browser_sessions":
        return
    touched = [
        node.lineno
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.ImportFrom) and node.module == "flask" and "session" in {a.name for a in node.names})
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in {"flask.session", "globals.session"})
    ]

    assert touched == []


@of_each(PORTAL)
def test_only_the_policy_allows(module: Module) -> None:
    """No ticket without a decision: whoever holds an Allowed got it from the policy."""
    if module.name == "portal.rules.policy":
        return

    assert [line for name, line in calls(module) if name.split(".")[-1] == "Allowed"] == []


@of_each(PORTAL)
def test_only_verifiers_say_verified(module: Module) -> None:
    """Claims become VerifiedClaims where a signature was checked, or where an operator explains given ones."""
    allowed = ("portal.sign_in.providers", "portal.sign_in.explanation", "portal.rules.identity")
    if module.name.startswith(allowed):
        return

    assert [line for name, line in calls(module) if name.split(".")[-1] == "VerifiedClaims"] == []


@of_each(PORTAL)
def test_time_is_an_argument(module: Module) -> None:
    if module.name in WALL_CLOCK or module.name.startswith(PROCESSES):
        return
    readers = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}

    assert [line for name, line in calls(module) if ".".join(name.split(".")[-2:]) in readers] == []


@of_each(EVERYWHERE)
def test_nothing_is_unpickled_or_evaluated(module: Module) -> None:
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }

    assert imported.isdisjoint({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
    assert [line for name, line in calls(module) if name == "eval"] == []


WRITES_FOR_CHAINLIT = "portal.sign_in.hook.chainlit"
"""Chainlit takes its folder from the environment alone, while it is imported."""


@of_each(PORTAL)
def test_only_the_configuration_and_the_entrances_read_the_environment(module: Module) -> None:
    """Settings are read once, from a mapping; what is read anywhere else cannot be checked at the start."""
    if module.name in {"wsgi", "portal.wsgi", WRITES_FOR_CHAINLIT} or module.name.startswith(PROCESSES):
        return
    names = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
    ]

    assert names == []


@of_each(EVERYWHERE)
def test_no_module_is_a_drawer(module: Module) -> None:
    assert module.name.split(".")[-1] not in {"utils", "util", "helpers", "helper", "common", "misc"}


@of_each(EVERYWHERE)
def test_json_that_is_nested_too_deeply_is_no_surprise(module: Module) -> None:
    """Who expects text that is no JSON expects text that Python's parser gives up on, too: it is one and the same."""
    unprepared = [
        node.lineno
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Try) and _reads_json(node.body) and _is_unprepared(node.handlers))
        or (isinstance(node, ast.With) and _reads_json(node.body) and _is_unprepared_with(node.items))
    ]

    assert unprepared == []


def _reads_json(body: list[ast.stmt]) -> bool:
    called = [node.func for part in body for node in ast.walk(part) if isinstance(node, ast.Call)]
    return any(ast.unparse(one) in {"json.load", "json.loads"} or ast.unparse(one).endswith(".json") for one in called)


def _is_unprepared(handlers: list[ast.ExceptHandler]) -> bool:
    caught = {name for handler in handlers for name in _names_in(handler.type)}
    return _expects_no_json(caught)


def _is_unprepared_with(items: list[ast.withitem]) -> bool:
    suppressing = [
        one.context_expr
        for one in items
        if isinstance(one.context_expr, ast.Call) and ast.unparse(one.context_expr.func) == "suppress"
    ]
    return _expects_no_json({name for call in suppressing for part in call.args for name in _names_in(part)})


def _expects_no_json(caught: set[str]) -> bool:
    return not caught.isdisjoint({"ValueError", "json.JSONDecodeError"}) and "RecursionError" not in caught


def _names_in(expression: ast.expr | None) -> list[str]:
    if expression is None:
        return ["RecursionError"]
    return (
        [ast.unparse(one) for one in expression.elts]
        if isinstance(expression, ast.Tuple)
        else [ast.unparse(expression)]
    )

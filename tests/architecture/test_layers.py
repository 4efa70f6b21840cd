"""The wings of ``docs/architecture.md``: which part of the portal may import which."""

import ast

from tests.architecture.sources import Module, all_names, imports_of, modules_of, of_each, own_imports, third_party
from tests.architecture.wings import FOUNDATION, WINGS, allowed_for, wing_of

THIRD_PARTY: dict[str, frozenset[str]] = {
    "access": frozenset({"httpx", "joserfc", "sqlalchemy"}),
    "cli": frozenset({"click"}),
    "clock": frozenset(),
    "configuration": frozenset({"dotenv", "jmespath"}),
    "contract": frozenset({"joserfc", "yaml"}),
    "demo": frozenset({"authlib", "flask", "gunicorn", "joserfc"}),
    "deployment": frozenset(),
    "doctor": frozenset({"httpx"}),
    "errors": frozenset(),
    "http_client": frozenset({"httpx"}),
    "machine": frozenset({"packaging", "sqlalchemy"}),
    "rules": frozenset({"jmespath"}),
    "server": frozenset({"gunicorn"}),
    "settings": frozenset(),
    "sign_in": frozenset({"authlib", "joserfc", "requests", "urllib3"}),
    "storage": frozenset({"alembic", "cryptography", "flask", "flask_session", "limits", "sqlalchemy"}),
    "supervisor_socket": frozenset(),
    "web": frozenset({"flask", "flask_limiter", "httpx", "jinja2", "prometheus_client", "werkzeug"}),
    "wsgi": frozenset({"flask"}),
}
"""The third-party packages each wing uses.  A package that is not here needs a reason."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "alembic": ("portal.storage.database", "portal.storage.migrations"),
    "authlib": ("portal.sign_in.providers", "portal.demo"),
    "dotenv": ("portal.configuration.environment",),
    "flask_limiter": ("portal.web.rate_limits",),
    "flask_session": ("portal.storage.session_store",),
    "gunicorn": ("portal.demo", "portal.server"),
    "limits": ("portal.storage.rate_limit_store",),
    "packaging": ("portal.machine.environment_plan",),
    "jmespath": ("portal.rules.expressions", "portal.configuration.expressions"),
    "prometheus_client": ("portal.web.metrics",),
    "requests": ("portal.sign_in.providers",),
    "urllib3": ("portal.sign_in.providers",),
    "yaml": ("portal.contract.spaces",),
}
"""Packages that one place of the portal knows, so that they can be changed in one place."""

FREE_OF_GRADIO = ("gradio_apps.runtime.guard", "gradio_apps.runtime.supervisor")

LATE_IMPORTS: dict[str, str] = {
    "portal.cli": "a command loads what it needs and no more, so that --help and errors are there at once",
    "gradio_apps.runtime.host": "Gradio and the author's code load when somebody needs them",
    "gradio_apps.serve": "the guard answers before Gradio is loaded",
}
"""Where an import may stand inside a function, and why; never to dodge a cycle."""

PORTAL = (*modules_of("portal"), *modules_of("wsgi"))
APPS = modules_of("gradio_apps")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_table_names_every_wing_and_no_other() -> None:
    there = {wing_of(module.name) for module in PORTAL} - {""}

    assert there == FOUNDATION.keys() | WINGS.keys() == THIRD_PARTY.keys()


def test_no_arrow_runs_back() -> None:
    """A wing imports only wings that stand above it in the table, which reads from the bottom up."""
    order = (*FOUNDATION, *WINGS)

    assert [
        f"{wing} → {other}" for wing in order for other in allowed_for(wing) if order.index(other) >= order.index(wing)
    ] == []


@of_each(PORTAL)
def test_a_module_imports_its_own_wing_and_those_below(module: Module) -> None:
    if not (wing := wing_of(module.name)):
        return
    others = {wing_of(name) for name in own_imports(module) if within(name, "portal")} - {"", wing}

    assert others <= allowed_for(wing)


def test_every_arrow_of_the_table_is_there() -> None:
    arrows = {
        (wing_of(module.name), wing_of(name))
        for module in modules_of("portal")
        for name in own_imports(module)
        if within(name, "portal")
    }

    assert [
        f"{wing} → {other}"
        for wing, below in (*FOUNDATION.items(), *WINGS.items())
        for other in below
        if (wing, other) not in arrows
    ] == []


@of_each(PORTAL)
def test_the_portal_never_imports_the_apps(module: Module) -> None:
    assert {name for name in own_imports(module) if within(name, "gradio_apps") or within(name, "tests")} == set()


@of_each(APPS)
def test_the_apps_share_only_the_contract_with_the_portal(module: Module) -> None:
    """An app's process knows the shape of a ticket, and nothing else of the portal."""
    foreign = {name for name in own_imports(module) if not within(name, "gradio_apps")}

    assert {name for name in foreign if not within(name, "portal.contract")} == set()


@of_each(PORTAL)
def test_a_wing_uses_the_packages_it_is_for(module: Module) -> None:
    assert third_party(module) <= THIRD_PARTY.get(wing_of(module.name), frozenset())


@of_each(PORTAL)
def test_packages_that_one_place_knows_stay_there(module: Module) -> None:
    strays = {
        package
        for package, places in ONLY_IN.items()
        if package in third_party(module) and not any(within(module.name, place) for place in places)
    }

    assert strays == set()


@of_each([one for one in APPS if any(within(one.name, package) for package in FREE_OF_GRADIO)])
def test_guard_and_supervisor_know_no_gradio(module: Module) -> None:
    assert third_party(module).isdisjoint({"gradio", "gradio_client", "fastapi", "flask"})


@of_each([one for one in APPS if within(one.name, "gradio_apps.runtime.supervisor")])
def test_the_supervisor_is_not_the_guard_nor_the_host(module: Module) -> None:
    """It stays small and starts at once: theirs are a web framework, an HTTP client and a parser of bodies."""
    theirs = ("gradio_apps.runtime.guard", "gradio_apps.runtime.host")
    assert {name for name in own_imports(module) if any(within(name, one) for one in theirs)} == set()


@of_each((*PORTAL, *APPS))
def test_imports_stand_at_the_top(module: Module) -> None:
    if any(within(module.name, place) for place in LATE_IMPORTS):
        return
    late = [f"{name} in line {node.lineno}" for name, node in imports_of(module, inside_functions=True)]

    assert late == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module.name: own_imports(module, inside_functions=False) & all_names() for module in (*PORTAL, *APPS)}
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name] - {name}):
                # A module may import a neighbour through their common package.
                if not within(name, other):
                    follow(other, (*path, name))
            done.add(name)

    for name in sorted(graph):
        follow(name, ())


@of_each((*PORTAL, *APPS))
def test_every_folder_of_modules_is_a_package(module: Module) -> None:
    assert module.name == "wsgi" or (module.path.parent / "__init__.py").is_file()


@of_each((*PORTAL, *APPS))
def test_every_module_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree)

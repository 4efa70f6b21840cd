"""The codes of ``docs/codes.md``, held against the code both ways."""

import ast
import json
import logging
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

import jinja2
import pytest

from gradio_apps.runtime.guard import request_authorization
from gradio_apps.runtime.supervisor.__main__ import EXIT_DOCUMENT, EXIT_PORT
from gradio_apps.runtime.supervisor.events import SupervisorEvent
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD
from gradio_apps.serve import EXIT_USAGE
from portal.access.app_sessions import SessionRefusal
from portal.access.audit_events import AuditEvent
from portal.access.refreshing import Verdict
from portal.access.revocation import RevocationReason
from portal.access.signing_keys import KeyState
from portal.contract import Rejection
from portal.doctor.findings import Check
from portal.machine.failure import ENDED, MISTAKEN
from portal.machine.isolation import isolation_of
from portal.rules.policy import Denial
from portal.settings import Settings
from portal.sign_in.admission import AdmissionRefusal
from portal.sign_in.providers.id_token import IdTokenProblem
from portal.sign_in.providers.logout_token import LogoutProblem
from portal.web.request_log import JsonLines
from portal.web.request_origin import LaunchRefusal
from tests.architecture.pages import page
from tests.architecture.sources import ROOT, Module, modules_of
from tests.architecture.test_docs_numbers import constant

PAGE = page("docs/codes.md")
EVERYWHERE = (*modules_of("portal"), *modules_of("gradio_apps"))

VOCABULARIES: dict[type[StrEnum], str] = {
    AdmissionRefusal: "Admission",
    AuditEvent: "The audit",
    Check: "Findings of the doctor",
    Denial: "Denials",
    KeyState: "Signing keys",
    RevocationReason: "Ends",
    SupervisorEvent: "The supervisor",
    IdTokenProblem: "ID tokens",
    LaunchRefusal: "Launches",
    LogoutProblem: "Logouts that a provider reports",
    SessionRefusal: "Redeeming and renewing",
    Rejection: "Tickets and logout tokens",
    Verdict: "Refreshes",
    request_authorization.RequestRefusal: "Requests at a guard",
}
"""Every closed vocabulary of the project, and the section that explains it."""

ALSO: dict[str, set[str]] = {"Redeeming and renewing": {"unsupported-token-type"}}
"""Codes of a section that stand in no vocabulary."""

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def classes() -> Iterator[tuple[Module, ast.ClassDef]]:
    for module in EVERYWHERE:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                yield module, node


def calls(modules: Iterable[Module]) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the last name of what is called."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func).rpartition(".")[2], node


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def errors() -> dict[str, int | None]:
    """Return the codes of the portal's errors, with the status of each; ``None``: that of its base."""
    found: dict[str, int | None] = {}
    for _, node in classes():
        said: dict[str, ast.expr] = {}
        for one in node.body:
            if isinstance(one, ast.Assign):
                said.update({ast.unparse(target): one.value for target in one.targets})
            elif isinstance(one, ast.AnnAssign) and one.value is not None:
                said[ast.unparse(one.target)] = one.value
        code, status = text_of(said.get("code")), said.get("status")
        if code is not None:
            found[code] = ast.literal_eval(status) if status is not None else None
    return found


def sentences() -> dict[str, tuple[str, str]]:
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "templates"), autoescape=True)
    said: dict[str, tuple[str, str]] = templates.get_template("errors/_sentences.html").module.SENTENCES  # type: ignore[attr-defined] # a template's variable
    return said


def test_every_vocabulary_has_its_section() -> None:
    found = {
        f"{module.name}.{node.name}" for module, node in classes() if "StrEnum" in {ast.unparse(b) for b in node.bases}
    }

    assert {f"{one.__module__}.{one.__qualname__}" for one in VOCABULARIES} == found


@pytest.mark.parametrize(("vocabulary", "heading"), VOCABULARIES.items(), ids=VOCABULARIES.values())
def test_every_code_has_its_row_and_every_row_its_code(vocabulary: type[StrEnum], heading: str) -> None:
    also = ALSO.get(heading, set())
    known = sorted({*(one.value for one in vocabulary), *also})

    assert sorted(PAGE.codes(heading)) == known


def test_codes_outside_a_vocabulary_are_given_somewhere() -> None:
    given = {text_of(word.value) for _, call in calls(EVERYWHERE) for word in call.keywords if word.arg == "code"}

    assert set[str]().union(*ALSO.values()) <= given


def test_every_error_has_its_row_with_status_and_the_heading_of_its_page() -> None:
    rows = {row[0].strip("`"): (int(row[1]), row[2]) for row in PAGE.rows("Pages of refusal")}
    of_http = {code: int(code.removeprefix("http-")) for code in sentences() if code.startswith("http-")}
    known = {**errors(), **of_http, "unexpected": 500}

    assert rows.keys() == known.keys()
    assert {code for code, status in known.items() if status not in {None, rows[code][0]}} == set()
    headings = {code: heading for code, (heading, _) in sentences().items()}
    assert {code: heading for code, (_, heading) in rows.items() if heading != "(no page)"} == headings


def test_answers_to_apps() -> None:
    """The errors of ``/oauth/`` and ``/api/`` that stand in the views."""
    machine = [one for one in EVERYWHERE if one.name.startswith(("portal.web.views.oauth", "portal.web.views.api"))]
    given = {text_of(word.value) for _, call in calls(machine) for word in call.keywords if word.arg == "error"}
    for name, call in calls(machine):
        if name == "_refusal":
            given |= {text_of(argument) for argument in call.args}

    assert set(PAGE.codes("Answers to apps")) == given - {None}


def test_answers_that_are_final_for_a_refresh() -> None:
    text = page("docs/security-model.md").section("When claims are read again")
    final = text.partition("**Final**")[2].partition("**Not final**")[0]

    assert set(re.findall(r"`([a-z_]+)`", final)) == constant("portal.sign_in.providers.exchange._FINAL")


def test_lines_of_a_guard() -> None:
    lines = [
        line
        for name, call in calls(modules_of("gradio_apps/runtime/guard"))
        if name in LEVELS and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "log"
        for line in map(text_of, call.args)
        if line is not None
    ]

    assert set(PAGE.codes("Lines of a guard")) == {line.partition(" ")[0] for line in lines}
    for code in {found for line in lines for found in re.findall(r"code=([a-z-]+)$", line)}:
        assert f"`{code}`" in PAGE.text, code


def test_words_for_isolation() -> None:
    assert f"`{isolation_of(Settings(url='https://portal.example.com')).level}`" in PAGE.section("Health")
    given = {
        text_of(node.value.elts[0])
        for module in EVERYWHERE
        if module.name == "portal.machine.isolation"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
    }
    assert {word for word in given if f"`{word}`" not in PAGE.section("Health")} == set()


def test_what_readiness_misses() -> None:
    health = [one for one in EVERYWHERE if one.name == "portal.web.views.health"]
    given = {text_of(call.args[0]) for name, call in calls(health) if name == "append"}

    assert {word for word in given if f"`{word}`" not in PAGE.section("Health")} == set()


def test_exit_codes() -> None:
    known = {
        "portal": {0, ENDED, MISTAKEN},
        "python -m gradio_apps.serve": {EXIT_USAGE, FAILED_TO_LOAD},
        "python -m gradio_apps.runtime.supervisor": {EXIT_DOCUMENT, EXIT_PORT},
    }
    said: dict[str, set[int]] = {}
    for program, code in zip(PAGE.codes("Exit codes"), PAGE.rows("Exit codes"), strict=True):
        said.setdefault(program, set()).add(int(code[1]))
    of_gunicorn = said.pop("gunicorn portal.wsgi:app")

    assert said == known
    assert f"_STOP_SERVER = {of_gunicorn.pop()}\n" in (ROOT / "portal" / "wsgi.py").read_text(encoding="utf-8")


EXAMPLES = [json.loads(line) for line in PAGE.blocks("json")]


def shown(logger: str) -> dict[str, object]:
    return next(one for one in EXAMPLES if one.get("logger") == logger)


@pytest.mark.parametrize("logger", ["portal.requests", "portal.errors", "portal.audit"])
def test_the_lines_shown_are_those_that_are_written(logger: str) -> None:
    example = shown(logger)
    common = {"at", "level", "logger", "message", "reference"}
    rest = {name: value for name, value in example.items() if name not in common}
    message = json.dumps({"at": example["at"], **rest}) if logger == "portal.audit" else str(example["message"])
    record = logging.LogRecord(
        logger, logging.getLevelNamesMapping()[str(example["level"]).upper()], "", 0, message, (), None
    )
    record.reference = example["reference"]
    if logger == "portal.requests":
        record.fields = rest
    written = json.loads(JsonLines().format(record))
    assert type(written["at"]) is type(example["at"])
    written["at"] = example["at"]

    assert written == example
    assert list(written) == list(example)


def test_the_request_line_shown_has_the_fields_of_the_code() -> None:
    log = [one for one in EVERYWHERE if one.name == "portal.web.request_log"]
    dictionaries = [node for one in log for node in ast.walk(one.tree) if isinstance(node, ast.Dict)]
    fields = [[text_of(key) for key in node.keys] for node in dictionaries]

    assert list(shown("portal.requests"))[-5:] in fields

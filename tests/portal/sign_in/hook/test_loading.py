import importlib
import sys
from pathlib import Path

import pytest

from portal.errors import SettingsError
from portal.sign_in.hook.chainlit import User
from portal.sign_in.hook.loading import HookFunction, load_hook
from tests.portal.sign_in.hook.company import CHAINLIT, EVERYBODY, MODULE, ONE_GOOGLE_DOMAIN, written


def loaded(folder: Path, source: str, name: str = "hook") -> HookFunction:
    with written(folder, company_rules=source):
        return load_hook(f"{MODULE}:{name}")


@pytest.mark.parametrize(
    ("source", "takes"),
    [
        ("def hook(provider_id, token, raw_user_data, default_user, id_token=None): ...", 5),
        ("def hook(provider_id, token, raw_user_data, default_user): ...", 4),
        ("async def hook(provider_id, token, raw_user_data, default_user, id_token): ...", 5),
        ("def hook(provider_id, /, token): ...", 2),
        ("def hook(): ...", 0),
        ("def hook(*arguments, **options): ...", 5),
        ("def hook(a, b, c, d, e, f=None): ...", 5),
        ("def hook(provider_id, *, region='eu'): ...", 1),
        ("class Rule:\n    def __call__(self, provider_id, token): ...\nhook = Rule()", 2),
        ("import functools\ndef rule(domain, provider_id): ...\nhook = functools.partial(rule, 'example.org')", 1),
    ],
    ids=["five", "four", "async", "two", "none", "any", "a sixth", "keywords", "object", "partial"],
)
def test_whatever_can_be_called_so_is_a_hook(tmp_path: Path, source: str, takes: int) -> None:
    assert loaded(tmp_path, source).takes == takes


def test_a_function_in_a_class_is_found(tmp_path: Path) -> None:
    assert loaded(tmp_path, "class Rules:\n    @staticmethod\n    def hook(a): ...", "Rules.hook").takes == 1


@pytest.mark.parametrize("source", [EVERYBODY, ONE_GOOGLE_DOMAIN], ids=["everybody", "one Google domain"])
def test_the_examples_of_chainlits_guide_need_no_chainlit(tmp_path: Path, source: str) -> None:
    found = loaded(tmp_path, source, "oauth_callback")

    assert found.takes == 4
    assert found.function.__annotations__["default_user"] is User


@pytest.fixture
def no_provider_of_chainlits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OAUTH_GOOGLE_CLIENT_ID", raising=False)


@pytest.mark.usefixtures("no_provider_of_chainlits")
class TestWhereChainlitIsInstalled:
    """
    Its own decorator raises unless variables turn on a provider of Chainlit's.
    """

    @pytest.mark.parametrize("source", [EVERYBODY, ONE_GOOGLE_DOMAIN], ids=["everybody", "one Google domain"])
    def test_the_examples_of_its_guide_work_and_people_are_its_own(self, tmp_path: Path, source: str) -> None:
        with written(tmp_path, package=CHAINLIT, company_rules=source):
            found = load_hook(f"{MODULE}:oauth_callback")

        assert found.takes == 4
        assert found.function.__annotations__["default_user"].__module__ == "chainlit.user"

    @pytest.mark.parametrize(
        "source",
        [
            "from chainlit import oauth_callback",
            "from chainlit.callbacks import oauth_callback",
            "import chainlit.callbacks\nfrom chainlit import on_message, oauth_callback\non_message(print)",
            "import chainlit\noauth_callback = chainlit.oauth_callback",
        ],
        ids=["package", "module", "both", "attribute"],
    )
    def test_the_decorator_is_ours_however_it_is_named(self, tmp_path: Path, source: str) -> None:
        source += "\n@oauth_callback\ndef hook(provider_id): ..."
        with written(tmp_path, package=CHAINLIT, company_rules=source):
            assert load_hook(f"{MODULE}:hook").takes == 1

    def test_a_module_that_was_imported_before_is_replaced_too(self, tmp_path: Path) -> None:
        with written(tmp_path, package=CHAINLIT, company_rules=EVERYBODY):
            sys.path.insert(0, str(tmp_path))
            importlib.import_module("chainlit")

            assert load_hook(f"{MODULE}:oauth_callback").takes == 4

    def test_a_hook_without_it_does_not_import_it(self, tmp_path: Path) -> None:
        with written(tmp_path, package=CHAINLIT, company_rules="def hook(provider_id): ..."):
            load_hook(f"{MODULE}:hook")

            assert "chainlit" not in sys.modules
            assert "chainlit.callbacks" not in sys.modules


MISTAKES = {
    "no such module": ("no_such_rules:hook", "", "the module 'no_such_rules', which cannot be found"),
    "no such module below": (f"{MODULE}.more:hook", "", "cannot be found"),
    "a module of its own is missing": (f"{MODULE}:hook", "import no_such_thing", "needs the module 'no_such_thing'"),
    "a misspelt function": (f"{MODULE}:hok", "def hook(a): ...", "Did you mean 'hook'?"),
    "no function": (f"{MODULE}:hook", "hook = 7", "which is not a function"),
    "nothing in it": (f"{MODULE}:hook.more", "def hook(a): ...", "which is not in"),
    "a syntax error": (f"{MODULE}:hook", "def hook(:", "SyntaxError in "),
    "an error": (f"{MODULE}:hook", "\nraise ValueError('hunter2')", "ValueError in "),
    "an exit": (f"{MODULE}:hook", "raise SystemExit(3)", "SystemExit in "),
    "too many arguments": (f"{MODULE}:hook", "def hook(a, b, c, d, e, f): ...", "needs more arguments than it gets"),
    "a keyword it insists on": (f"{MODULE}:hook", "def hook(a, *, region): ...", "needs more arguments than it gets"),
    "what Chainlit has besides": (f"{MODULE}:hook", "import chainlit as cl\ncl.on_message", "AttributeError in "),
    "a part of Chainlit": (f"{MODULE}:hook", "import chainlit.types", "needs the module 'chainlit.types'"),
}


@pytest.mark.parametrize(("name", "source", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_whatever_cannot_is_a_problem_of_the_configuration(
    tmp_path: Path, name: str, source: str, expected: str
) -> None:
    with written(tmp_path, company_rules=source), pytest.raises(SettingsError) as caught:
        load_hook(name)
    (problem,) = caught.value.problems

    assert (problem.place, problem.key) == ("environment", "PORTAL_SIGN_IN_HOOK")
    assert expected in f"{problem.what} {problem.fix}"
    assert problem.fix.strip()
    assert "hunter2" not in str(problem)

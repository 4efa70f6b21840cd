"""Names of apps and providers: one rule for the portal, the guard, the supervisor and the command."""

import re
from pathlib import Path

import pytest

from gradio_apps.runtime.guard.settings import GuardSettingsError, guard_settings_from
from portal.contract.slugs import is_slug, slug_from
from tests.architecture.sources import ROOT

GOOD = ("a", "7", "forecast", "user-dashboard", "a--b", "a" * 63)
BAD = ("", "-", "-a", "a-", "A", "a b", "a.b", "a_b", "ä", "a\n", "a" * 64, None, 7, b"a")


@pytest.mark.parametrize("name", GOOD)
def test_valid_slugs(name: str) -> None:
    assert is_slug(name)


@pytest.mark.parametrize("name", BAD, ids=repr)
def test_invalid_slugs(name: object) -> None:
    assert not is_slug(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("My App", "my-app"), ("--x--", "x"), ("Ünïcode", "n-code"), ("!", ""), ("a" * 62 + " b", "a" * 62)],
)
def test_a_slug_is_made_from_text(text: str, name: str) -> None:
    assert slug_from(text) == name
    assert not name or is_slug(name)


@pytest.mark.parametrize("name", [name for name in BAD if isinstance(name, str)])
def test_a_guard_takes_no_other(name: str) -> None:
    with pytest.raises(GuardSettingsError, match="PORTAL_APP: not an app's name"):
        guard_settings_from({"PORTAL_APP": name})


def test_no_other_module_decides_what_loopback_is() -> None:
    pattern = re.compile(r"\[a-z0-9-?\].*\{[01],6[0-9]\}")
    labels = {"portal/contract/loopback.py", "portal/configuration/addresses.py"}  # of host names, in any case
    domains = {"portal/configuration/provider_admission.py"}
    found = {
        str(path.relative_to(ROOT))
        for folder in ("portal", "gradio_apps")
        for path in Path(ROOT / folder).rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"portal/contract/slugs.py"} | labels | domains

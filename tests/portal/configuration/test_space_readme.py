"""What a Space's README asks of signing in, and what becomes of it here."""

from pathlib import Path

import pytest

from portal.cli.check import summary
from portal.configuration.space_readme import SpaceSignIn, read_sign_in, sign_in_of
from portal.contract.spaces import parse_front_matter
from tests.portal.configuration.reading import ENVIRON, PORTAL, PROVIDER, keys, loaded, problems

WHOLE = """---
title: Forecast
emoji: 🏆
sdk: gradio
app_file: app.py

hf_oauth: true
# optional, default duration is 8 hours/480 minutes. Max duration is 30 days/43200 minutes.
hf_oauth_expiration_minutes: 480
hf_oauth_scopes:
 - read-repos
 - inference-api  # for the answers
hf_oauth_authorized_org:
  - acme-ml
  - "beta"
---
# Forecast
hf_oauth_authorized_org: somebody-else
"""


def matter(*lines: str) -> str:
    return "\n".join(("---", "hf_oauth: true", *lines, "---"))


def test_what_the_hub_documents_is_understood() -> None:
    assert read_sign_in(parse_front_matter(WHOLE)) == SpaceSignIn(
        organisations=("acme-ml", "beta"), scopes=("read-repos", "inference-api"), minutes="480"
    )


@pytest.mark.parametrize(
    ("line", "organisations"),
    [
        ("hf_oauth_authorized_org: acme-ml", ("acme-ml",)),
        ("hf_oauth_authorized_org: 'acme-ml' # ours", ("acme-ml",)),
        ("hf_oauth_authorized_org : acme-ml", ("acme-ml",)),
        ('hf_oauth_authorized_org: [acme-ml, "beta"]', ("acme-ml", "beta")),
        ('"hf_oauth_authorized_org": acme-ml', ("acme-ml",)),
        ("hf_oauth_authorized_org:\n  acme-ml", ("acme-ml",)),
        ("hf_oauth_authorized_org: [\n  acme-ml\n]", ("acme-ml",)),
        ("hf_oauth_authorized_org:", ()),
        ("hf_oauth_authorized_org: []", ()),
        # None of the shapes there are: a name nobody has, not "anybody".
        ("hf_oauth_authorized_org: {a: b}", ("{'a': 'b'}",)),
        ("hf_oauth_authorized_org:\n# ours\n\n- acme-ml", ("acme-ml",)),
        ("hf_oauth_authorized_org:\ntags:\n- acme-ml", ()),
        ("tags:\n- acme-ml", ()),
    ],
)
def test_organisations_however_they_are_written(line: str, organisations: tuple[str, ...]) -> None:
    found = read_sign_in(parse_front_matter(matter(*line.split("\n"))))

    assert found is not None
    assert found.organisations == organisations


@pytest.mark.parametrize(
    "readme",
    [
        "",
        "# Forecast",
        "---\nsdk: gradio\n---",
        "---\nhf_oauth: false\nhf_oauth_authorized_org: acme-ml\n---",
        "---\nhf_oauth_authorized_org: acme-ml\n---",
        "text\n---\nhf_oauth: true\n---",
    ],
)
def test_without_hf_oauth_nothing_is_asked(readme: str) -> None:
    assert read_sign_in(parse_front_matter(readme)) is None


@pytest.mark.parametrize("readme", [f"\ufeff{WHOLE}", WHOLE.replace("\n", "\r\n"), WHOLE.partition("\n---\n")[0]])
def test_however_the_file_is_written(readme: str) -> None:
    found = read_sign_in(parse_front_matter(readme))

    assert found is not None
    assert found.organisations == ("acme-ml", "beta")


def test_only_a_folder_with_a_readme_is_a_space(tmp_path: Path) -> None:
    assert sign_in_of(None) is None
    assert sign_in_of("company.forecast") is None
    assert sign_in_of(str(tmp_path)) is None
    (tmp_path / "README.md").write_bytes(b"---\nhf_oauth: true\nhf_oauth_authorized_org: \xff\n---\n")

    assert sign_in_of(str(tmp_path)) == SpaceSignIn(organisations=("\ufffd",))
    (tmp_path / "README.md").write_text("---\nhf_oauth: [\n---\n")

    assert sign_in_of(str(tmp_path)) is None


class TestAnAppThatIsSuchASpace:
    @pytest.fixture
    def space(self, tmp_path: Path) -> Path:
        folder = tmp_path / "forecast"
        folder.mkdir()
        (folder / "README.md").write_text(WHOLE, encoding="utf-8")
        (folder / "app.py").touch()
        return tmp_path

    def app(self, *lines: str) -> str:
        return "\n".join(
            ("[roles.staff]", 'groups = ["acme-ml"]', "[apps.forecast]", 'source = "forecast"', *lines, "")
        )

    def hub(self, *lines: str) -> str:
        return "\n".join((PROVIDER.replace("issuer =", "#"), 'type = "huggingface"', *lines, ""))

    def test_open_to_everyone_is_a_problem_that_names_the_readme(self, space: Path) -> None:
        (problem,) = problems(space, PORTAL + PROVIDER + self.app('open_to = ["everyone"]'))

        assert problem.key == "apps.forecast.open_to"
        assert "acme-ml, beta" in problem.what
        assert "hf_oauth_authorized_org" in problem.what

    @pytest.mark.parametrize("lines", [('open_to = ["staff"]',), (), ('open_to = ["everyone"]', 'tenants = ["acme"]')])
    def test_what_says_who_may_open_it_is_enough(self, space: Path, lines: tuple[str, ...]) -> None:
        assert keys(space, PORTAL + PROVIDER + self.app(*lines)) == []

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ('allowed_organisations = ["acme-ml"]', []),
            ('organisations_as = "tenants"\nallowed_tenants = ["5e67bdd61009063689407479"]', []),
            ('allowed_domains = ["example.com"]', ["apps.forecast.open_to"]),
            ("", ["apps.forecast.open_to"]),
        ],
    )
    def test_everyone_is_who_hugging_face_lets_in(self, space: Path, condition: str, expected: list[str]) -> None:
        assert keys(space, PORTAL + self.hub(condition) + self.app('open_to = ["everyone"]')) == expected

    def test_a_second_provider_is_a_second_everyone(self, space: Path) -> None:
        hub = self.hub('allowed_organisations = ["acme-ml"]').replace('id = "company"', 'id = "hub"')
        text = PORTAL + PROVIDER + hub + "[apps.forecast]\nsource = 'forecast'\nopen_to = ['everyone']\n"

        assert keys(space, text) == ["apps.forecast.open_to"]
        assert keys(space, f'{text}provider = "hub"\n') == []

    @pytest.mark.parametrize(("whom", "times"), [("everyone", 1), ("staff", 0)], ids=["everyone", "staff"])
    def test_on_loopback_it_is_a_note_only(self, space: Path, whom: str, times: int) -> None:
        text = PORTAL.replace("https://portal.example.com", "http://127.0.0.1:7800").replace(
            "https://{app}.apps.example.com", "http://127.0.0.1:{port}"
        )
        settings = loaded(space, text + PROVIDER + self.app(f'open_to = ["{whom}"]'), ENVIRON)

        assert "\n".join(summary(settings)).count("README lets in acme-ml, beta only") == times

    def test_check_says_what_has_no_effect_here(self, space: Path) -> None:
        settings = loaded(space, PORTAL + PROVIDER + self.app('open_to = ["staff"]'), ENVIRON)
        lines = "\n".join(summary(settings))

        assert "hf_oauth_scopes (read-repos, inference-api)" in lines
        assert "hf_oauth_expiration_minutes (480)" in lines

    @pytest.mark.parametrize("minutes", ["0", "99999", "soon", "-5", "480.5", "99999999999999999999"])
    def test_check_names_an_expiration_that_the_hub_does_not_take(self, space: Path, minutes: str) -> None:
        (space / "forecast" / "README.md").write_text(WHOLE.replace("480", minutes), encoding="utf-8")
        settings = loaded(space, PORTAL + PROVIDER + self.app('open_to = ["staff"]'), ENVIRON)

        assert f"({minutes}) of its README is not a number of minutes from 1 to 43200" in "\n".join(summary(settings))

    @pytest.mark.parametrize("minutes", ["1", "480", "43200"])
    def test_check_names_none_that_it_takes(self, space: Path, minutes: str) -> None:
        (space / "forecast" / "README.md").write_text(WHOLE.replace("480", minutes), encoding="utf-8")
        settings = loaded(space, PORTAL + PROVIDER + self.app('open_to = ["staff"]'), ENVIRON)

        assert "is not a number of minutes" not in "\n".join(summary(settings))

"""``portal init``: what it writes is sound, private, and never at the cost of what was there."""

import io
import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from portal.cli import main
from portal.configuration import environment, load

FLAGS = ("--url", "https://portal.example.com", "--issuer", "https://id.example.com", "--client-id", "portal")
APPS_URL = ("--apps-url", "https://{app}.apps.example.com")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("PORTAL_", "COMPANY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "client-secret").write_text("it's # a \\ secret\n")
    return tmp_path


def init(*arguments: str, flags: Sequence[str] = FLAGS) -> int:
    return main(["init", *flags, *arguments])


def test_what_is_written_passes_the_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my app.py").touch()
    apps = ("--app", "forecast=my app.py", "--app", "users=gradio_apps.user_dashboard", "--trust-apps")
    assert init(*APPS_URL, *apps, "--title", 'Tom\'s "AI"', "--client-secret-file", "client-secret") == 0
    output = capsys.readouterr().out

    assert main(["check"]) == 0
    message = capsys.readouterr().out
    assert "The configuration has no problems." in message
    assert 'Tom\'s "AI" at https://portal.example.com' in message
    assert "forecast: https://forecast.apps.example.com" in message
    assert "open to everyone" in message
    assert "Register the callback at the provider: https://portal.example.com/auth/oauth/company/callback" in output
    assert (
        "Register the back-channel logout there too: https://portal.example.com/auth/oauth/company/backchannel-logout"
        in output
    )
    assert "Write the client secret" not in output
    assert output.splitlines()[-1].endswith("portal serve")
    settings = load(environment({}, folder))
    secret = settings.providers[0].client_secret
    assert secret is not None
    assert secret.reveal() == "it's # a \\ secret"


@pytest.mark.parametrize(
    ("provider_type", "options", "issuer"),
    [
        ("okta", ("domain=company.okta.com", "authorization_server_id=false"), "https://company.okta.com"),
        ("github", (), "https://github.com/login/oauth"),
        (
            "azure-ad",
            ("tenant_id=8eaef023-2b34-4da1-9baa-8bc8c9d6a490",),
            "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0",
        ),
        ("oidc", ("issuer=https://id.example.com/",), "https://id.example.com/"),
    ],
)
def test_a_provider_of_any_make_is_written(
    folder: Path, provider_type: str, options: tuple[str, ...], issuer: str
) -> None:
    given = [word for option in options for word in ("--provider", option)]
    flags = ("--url", "https://portal.example.com", "--client-id", "portal", "--type", provider_type, *given)
    assert init("--client-secret-file", "client-secret", flags=flags) == 0
    [provider] = load(environment({}, folder)).providers

    assert (provider.provider_type, provider.issuer) == (provider_type, issuer)


@pytest.mark.parametrize(
    ("type_and_options", "address"),
    [
        (
            ("keycloak", "--provider", "base_url=https://sso.example.com", "--provider", "realm=acme"),
            "backchannel-logout",
        ),
        (("okta", "--provider", "domain=company.okta.com"), "frontchannel-logout"),
        (("github",), None),
    ],
)
@pytest.mark.usefixtures("folder")
def test_it_names_the_logout_address_that_the_provider_can_use(
    type_and_options: tuple[str, ...], address: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init("--url", "https://portal.example.com", "--client-id", "p", "--type", *type_and_options, flags=()) == 0
    output = capsys.readouterr().out

    assert [line.rpartition("/company/")[2] for line in output.splitlines() if "/company/" in line] == [
        one for one in ("callback", address) if one is not None
    ]


def test_a_portal_without_apps_is_sound_too(folder: Path) -> None:
    del folder
    assert init("--client-secret-file", "client-secret") == 0
    assert main(["check"]) == 0


def test_on_loopback_nothing_needs_to_be_trusted(folder: Path) -> None:
    (folder / "app.py").touch()
    loopback = ("--url", "http://portal.demo.localhost:7900", "--apps-url", "http://{app}.demo.localhost:{port}")
    flags = (*loopback, "--issuer", "http://127.0.0.1:7901", "--client-id", "portal")
    assert init("--app", "one=app.py", "--client-secret-file", "client-secret", flags=flags) == 0
    assert main(["check"]) == 0


def test_the_client_secret_may_be_filled_in_later_and_is_all_that_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init() == 0
    assert "Write the client secret into .env, after COMPANY_CLIENT_SECRET=" in capsys.readouterr().out
    assert main(["check"]) == 2
    message = capsys.readouterr().err
    assert "one problem" in message
    assert "COMPANY_CLIENT_SECRET" in message

    env = folder / ".env"
    env.write_text(env.read_text().replace("COMPANY_CLIENT_SECRET=", "COMPANY_CLIENT_SECRET=hush"))
    assert main(["check"]) == 0


def test_secrets_are_private_and_stand_in_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = os.umask(0)
    try:
        assert init("--client-secret-file", "client-secret") == 0
    finally:
        os.umask(old)
    key = load(environment({}, folder)).secret_keys[0].reveal()

    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "portal.toml").stat().st_mode) == 0o644
    assert len(key) == 64
    toml, output = (folder / "portal.toml").read_text(), capsys.readouterr().out
    for secret in (key, "it's # a"):
        assert secret not in toml
        assert secret not in output


def test_every_key_is_fresh(folder: Path) -> None:
    assert init() == 0
    first = (folder / ".env").read_text()
    assert init("--force") == 0
    assert (folder / ".env").read_text() != first


@pytest.mark.parametrize("present", ["portal.toml", ".env"])
def test_nothing_is_overwritten_unless_forced(folder: Path, present: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / present).write_text("precious")
    assert init() == 2
    assert f"{present} is here already. Nothing was written." in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == sorted(["client-secret", present])

    assert init("--force") == 0
    assert f"The old file is now {present}.old-1." in capsys.readouterr().out
    assert init("--force") == 0
    output = capsys.readouterr().out
    assert f"{present}.old-2" in output
    assert "The secret key is new." in output
    assert (folder / f"{present}.old-1").read_text() == "precious"


def test_a_link_is_something_that_is_there(folder: Path) -> None:
    (folder / ".env").symlink_to(folder / "nowhere")
    assert init() == 2
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--app", "forecast"), "is not SLUG=SOURCE"),
        (("--app", "For Cast=app.py"), "is not SLUG=SOURCE"),
        (("--app", "one=a.b", "--app", "one=a.c"), "is given twice"),
        (("--app", "one=a.b"), "Missing option: --apps-url."),
        (("--app", "one=a.b", *APPS_URL), "trust_apps"),
        (("--app", "one=nowhere.py", "--trust-apps", *APPS_URL), "does not exist"),
        (("--title", "two\nlines"), "portal.title"),
        (("--type", "octa"), "There is no provider type called 'octa'. There are: oidc, descope, github,"),
        (
            ("--type", "github"),
            "does not have the setting issuer. It has: auth_url, domain, token_url, user_info_url.",
        ),
        (("--provider", "issuer"), "--provider issuer is not KEY=VALUE"),
        (("--provider", "issuer=https://other.example.com"), "--provider issuer is given twice."),
        (("--type", "okta", "--issuer", "https://company.okta.com"), "Missing option: --provider domain=…."),
        (("--url", "http://portal.example.com"), "Use https."),
        (("--client-secret-file", "nowhere"), "cannot be read from nowhere"),
        (("--client-secret-file", "-"), "There is no client secret in -."),
    ],
)
def test_what_would_not_pass_is_not_written(
    folder: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*arguments) == 2
    err = capsys.readouterr().err

    assert message in err
    assert ".portal.toml." not in err
    assert [path.name for path in folder.iterdir()] == ["client-secret"]


def test_without_a_terminal_everything_missing_is_named_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    assert init(flags=()) == 2
    assert "Missing options: --url, --issuer, --client-id." in capsys.readouterr().err


@pytest.mark.usefixtures("processes")
def test_on_a_terminal_it_asks(folder: Path) -> None:
    (folder / "app.py").touch()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "init", "--trust-apps"],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    output = ""
    answers = {
        "The portal's address": "https://portal.example.com",
        "type of identity provider": "",
        "issuer": "https://id.example.com",
        "client id": "portal",
        "name on its pages": "",
        "An app to serve": "one=app.py",
        "no more": "",
        "addresses in browsers": "https://{app}.apps.example.com",
        "client secret": "hush-hush",
    }
    try:
        for question, answer in answers.items():
            output += _until(ours, question, output)
            os.write(ours, f"{answer}\n".encode())
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    secret = load(environment({}, folder)).providers[0].client_secret
    assert secret is not None
    assert secret.reveal() == "hush-hush"
    assert "hush-hush" not in output


def test_a_bad_answer_is_asked_for_again_and_the_others_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "app.py").touch()
    answers = [
        "",  # where the portal is: has to be answered
        "http://portal.example.com",  # found wrong at the end
        "octa",  # no such make
        "",
        "https://id.example.com",
        "portal",
        "",
        "Forecast=app.py",  # no slug
        "forecast=app.py",
        "forecast=app.py",  # twice
        "second=app.py",
        "",
        "https://{app}.apps.example.com",
        "maybe",  # neither yes nor no
        "yes",
        # once more: all but the first are kept
        "https://portal.example.com",
        *[""] * 5,
        "-",  # no second app after all
        *[""] * 2,
    ]
    secrets = iter(["hush-hush", ""])
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return answers.pop(0)

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: next(secrets))
    assert main(["init"]) == 0
    output = capsys.readouterr().out

    assert answers == []
    for words in (
        "An answer is required.",
        "no provider type called 'octa'",
        "A slug has 1 to 63",
        "is given twice",
        "yes or no",
    ):
        assert words in output
    assert "Use https." in output
    assert "Please answer again; Enter keeps the value in brackets." in output
    assert questions[-7].endswith(" [https://id.example.com]: ")
    settings = load(environment({}, folder))
    assert (settings.url, settings.trust_apps) == ("https://portal.example.com", True)
    assert [app.slug for app in settings.catalogue] == ["forecast"]
    secret = settings.providers[0].client_secret
    assert secret is not None
    assert secret.reveal() == "hush-hush"


class Terminal(io.StringIO):
    """An input with a person at it."""

    def isatty(self) -> bool:
        return True


def _until(terminal: int, words: str, output: str) -> str:
    heard, deadline = "", time.monotonic() + 60
    while words not in heard or not heard.rstrip().endswith(":"):
        assert time.monotonic() < deadline, output + heard
        if select.select([terminal], [], [], 1)[0]:
            heard += os.read(terminal, 4096).decode()
    return heard


def test_units_hold_apps_apart_and_nobody_need_be_trusted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "app.py").touch()
    assert init(*APPS_URL, "--units", "--app", "forecast=app.py", "--client-secret-file", "client-secret") == 0

    assert capsys.readouterr().out.splitlines()[-1].endswith("portal config systemd")
    settings = load(environment({}, folder))
    assert (settings.apps_run_by, settings.trust_apps) == ("systemd", False)
    assert str(settings.data_dir) == "/var/lib/gradio-portal"

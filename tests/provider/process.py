"""npm's ``oidc-provider`` as a process of its own: an independent check of the sign-in.

A test server built on Authlib would share its blind spots; this one is a certified provider
written in another language.  Installed on first use from ``package-lock.json``.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urljoin

import pytest
import requests

FOLDER: Final = Path(__file__).parent
CLIENT_ID: Final = "portal"
CLIENT_SECRET: Final = "portal-secret-of-the-tests"

ACCOUNTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ada": {
        "name": "Ada Admin",
        "email": "ada@example.com",
        "email_verified": True,
        "tenants": {"acme": {"name": "Acme", "roles": ["Tenant Admin"]}},
        "groups": ["Everyone"],
    },
    "ana": {
        "name": "Ana Analyst",
        "email": "ana@example.com",
        "email_verified": True,
        "tenants": {"acme": {"name": "Acme", "roles": []}},
        "groups": ["AI-Analysts", "Everyone"],
    },
    "tess": {
        "name": "Tess Two-Tenants",
        "email": "tess@example.com",
        "email_verified": True,
        "tenants": {"acme": {"name": "Acme", "roles": []}, "beta": {"name": "Beta", "roles": ["Tenant Admin"]}},
        "groups": [],
    },
    "uwe": {"name": "Uwe User", "email": "uwe@example.com", "email_verified": False, "roles": [], "groups": []},
}
"""People of every provider started here, unless configured otherwise."""

_START: Final = 120
_CALL: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProvider:
    """A provider that answers."""

    issuer: str
    accounts: Mapping[str, Mapping[str, Any]]
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    ask: Callable[[Mapping[str, object]], Any] = field(default=lambda _: None, repr=False)
    """Has it do one of the ``commands`` of ``server.mjs``, and returns its answer."""

    def change(self, account: str, **claims: object) -> None:
        """Change claims of a person."""
        self.ask({"command": "change", "sub": account, "claims": claims})

    def remove(self, account: str) -> None:
        """Delete the account of a person."""
        self.ask({"command": "change", "sub": account})

    def revoke(self, account: str) -> None:
        """Withdraw what a person has granted to its clients."""
        assert self.ask({"command": "revoke", "sub": account}) > 0

    @contextmanager
    def away(self) -> Iterator[None]:
        """Accept no connection until the block ends; nothing is forgotten meanwhile."""
        self.ask({"command": "leave"})
        try:
            yield
        finally:
            self.ask({"command": "back"})

    def issued(self) -> list[str]:
        """Return every access and refresh token that it has issued."""
        tokens: list[str] = self.ask({"command": "issued"})
        return tokens

    def logout_answers(self) -> list[dict[str, Any]]:
        """Return the client and the status of its answer, for each logout token that it has sent."""
        answers: list[dict[str, Any]] = self.ask({"command": "logoutAnswers"})
        return answers


def a_client(
    *portals: str, callbacks: Sequence[str] = ("/auth/oauth/company/callback",), **changes: Any
) -> dict[str, Any]:
    """Return the registration of *portals*, addresses without a trailing slash."""
    client: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{portal}{callback}" for portal in portals for callback in callbacks],
        "post_logout_redirect_uris": [f"{portal}/signed-out" for portal in portals],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }
    return {**client, **changes}


@contextmanager
def running_provider(
    *clients: Mapping[str, Any], accounts: Mapping[str, Mapping[str, Any]] = ACCOUNTS, **options: object
) -> Iterator[RunningProvider]:
    """Run a provider with *clients* and *accounts* until the block ends.

    *options* goes to ``server.mjs`` as it is: ``thin_id_token`` (default true), ``claims_with_openid`` (default true),
    ``scoped_claims`` (claims by the scope that alone releases them; default none).
    """
    node = installed()
    command = [node, "--no-warnings", str(FOLDER / "server.mjs")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=FOLDER
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"clients": clients, "accounts": accounts, **options}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, "oidc-provider did not start; run it by hand to see why"

            def ask(command: Mapping[str, object]) -> Any:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(command) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                assert answer, f"oidc-provider ended at {command}"
                return json.loads(answer)

            yield RunningProvider(issuer=json.loads(line)["issuer"], accounts=accounts, ask=ask)
        finally:
            process.stdin.close()  # the server ends with its input
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def installed() -> str:
    """Return the path of node, with the packages installed; skip the test if that is not possible."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return _missing("install Node.js 20 or later (node and npm) to sign in at a real provider")
    lock = (FOLDER / "package-lock.json").read_bytes()
    stamp = FOLDER / "node_modules" / ".installed-from"
    with (FOLDER / "package.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != lock:
            if not os.access(FOLDER, os.W_OK):
                return _missing(f"run npm ci in {FOLDER} as its owner, and copy package-lock.json to {stamp}")
            with tempfile.TemporaryDirectory() as cache:
                # The usual cache is in the home folder, which a user of a service does not have.
                usual = os.access(Path("~").expanduser(), os.W_OK)
                environ = os.environ if usual else {**os.environ, "npm_config_cache": cache}
                command = [npm, "ci", "--no-progress"]
                done = subprocess.run(
                    command, cwd=FOLDER, env=environ, check=False, capture_output=True, text=True, timeout=300
                )
            assert done.returncode == 0, done.stderr
            stamp.write_bytes(lock)
    return node


def _missing(explanation: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


class Person:
    """A person's browser at the provider."""

    def __init__(self, account: str) -> None:
        self.account = account
        self._browser = requests.Session()

    def sign_in(self, authorization_url: str) -> str:
        """Sign in at the provider and return the URL it sends the browser to: the portal's callback."""
        return self._answer(authorization_url, self.account)

    def refuse(self, authorization_url: str) -> str:
        """Refuse at the provider and return the URL it sends the browser to."""
        return self._answer(authorization_url, "-/refuse")

    def sign_out(self, end_session_url: str, *, declines: bool = False) -> str:
        """Confirm or decline at the provider's sign-out page and return the URL it sends the browser to."""
        return self._followed(self._leave(end_session_url, declines=declines), away_from=end_session_url)

    def end_session(self, issuer: str) -> None:
        """Sign out at the provider's own page, without any client."""
        assert self._leave(f"{issuer}/session/end", declines=False).is_redirect

    def _leave(self, end_session_url: str, *, declines: bool) -> requests.Response:
        page = self._browser.get(end_session_url, timeout=_CALL)
        action = _found(r'action="([^"]+)"', page.text)
        fields = {"xsrf": _found(r'name="xsrf" value="([^"]+)"', page.text)}
        if not declines:
            fields["logout"] = "yes"
        return self._browser.post(action, data=fields, allow_redirects=False, timeout=_CALL)

    def close(self) -> None:
        """Close the browser; the provider's cookies are gone."""
        self._browser.close()

    def _answer(self, authorization_url: str, choice: str) -> str:
        page = self._browser.get(authorization_url, allow_redirects=False, timeout=_CALL)
        target = urljoin(authorization_url, page.headers.get("Location", ""))
        if "/interaction/" not in target:  # signed in there already, or an error that goes straight back
            return self._followed(page, away_from=authorization_url)
        self._browser.get(target, timeout=_CALL).raise_for_status()
        chosen = self._browser.post(f"{target}/{choice}", allow_redirects=False, timeout=_CALL)
        return self._followed(chosen, away_from=authorization_url)

    def _followed(self, answer: requests.Response, *, away_from: str) -> str:
        """Follow redirects within the provider and return the first that leads away from it."""
        provider = "/".join(away_from.split("/")[:3])
        for _ in range(10):
            assert answer.is_redirect, f"the provider answered {answer.status_code}: {answer.text[:400]}"
            target = urljoin(answer.url, answer.headers["Location"])
            if not target.startswith(f"{provider}/"):
                return target
            answer = self._browser.get(target, allow_redirects=False, timeout=_CALL)
        raise AssertionError("the provider redirects in a circle")


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, f"no {pattern} in {text[:400]}"
    return unescape(match.group(1))

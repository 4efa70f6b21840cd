"""A real Firefox, as Debian packages it: driven over WebDriver BiDi, with a profile of its own.

Playwright drives only a Firefox of its own build; ``tests/provider/firefox.mjs`` drives the one people have.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pytest

from tests.journeys.browser import PATIENCE
from tests.provider.process import FOLDER, installed

_START: Final = 120
_END: Final = 30
_QUIET: Final[Mapping[str, object]] = {
    "app.normandy.enabled": False,
    "browser.download.alwaysOpenPanel": False,
    "browser.download.folderList": 2,  # where browser.download.dir says
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "ui.prefersReducedMotion": 1,
}
_VALUE: Final = """({element, pattern}) => {
  const field = document.querySelector(element);
  return field !== null && new RegExp(pattern).test(field.value);
}"""


def firefox() -> str:
    """Return the path of a Firefox; skip the test where there is none."""
    for name in ("firefox-esr", "firefox"):
        found = shutil.which(name)
        if found is not None:
            return found
    return _missing("install Firefox (Debian: apt-get install firefox-esr) to try the portal in it")


def certutil() -> str:
    """Return the path of the tool that puts an authority into a profile; skip the test where there is none."""
    found = shutil.which("certutil")
    if found is not None:
        return found
    return _missing(
        "install certutil (Debian: apt-get install libnss3-tools) to have Firefox trust the tests' authority"
    )


def _missing(explanation: str) -> str:
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


@dataclass(frozen=True, slots=True)
class Place:
    """One tab's page, or the app's frame in it."""

    browser: "Firefox"
    tab: int
    inside: bool = False

    def see(self, element: str) -> None:
        """Wait until *element* is to be seen."""
        self._do("see", element=element)

    def click(self, element: str) -> None:
        """Click *element* as soon as it is to be seen."""
        self._do("click", element=element)

    def fill(self, element: str, text: str) -> None:
        """Write *text* in place of what stands in *element*."""
        self._do("fill", element=element, text=text)

    def upload(self, element: str, file: Path) -> None:
        """Choose *file* in a field for files."""
        self._do("upload", element=element, file=str(file))

    def ask(self, script: str, about: object = None) -> Any:
        """Return what the function *script* returns for *about*."""
        return self._do("ask", script=script, about=about)

    def load(self, file: Path) -> None:
        """Run the script *file*; unlike a tag for it, whatever the page allows."""
        self._do("load", file=str(file))

    def wait(self, script: str, about: object = None, *, patience: int = PATIENCE) -> None:
        """Wait until the function *script* returns something true for *about*."""
        self._do("wait", script=script, about=about, patience=patience)

    def wait_for_value(self, element: str, pattern: str, *, patience: int = PATIENCE) -> None:
        """Wait until the field *element* holds what *pattern* finds, a regular expression of JavaScript."""
        self.wait(_VALUE, {"element": element, "pattern": pattern}, patience=patience)

    def value(self, element: str) -> str:
        """Return what stands in the field *element*."""
        value: str = self.ask("element => document.querySelector(element).value", element)
        return value

    def _do(self, verb: str, **message: object) -> Any:
        return self.browser.do(verb, tab=self.tab, inside=self.inside, **message)


@dataclass(frozen=True, slots=True)
class Tab(Place):
    """One tab, with its page."""

    @property
    def app(self) -> Place:
        """The app's frame."""
        return Place(self.browser, self.tab, inside=True)

    @property
    def url(self) -> str:
        """Where it is."""
        url: str = self._do("url")
        return url

    def go(self, url: str) -> None:
        """Go to *url*, and wait until its page is there."""
        self._do("go", url=url)

    def wait_for_url(self, pattern: str) -> None:
        """Wait until the whole address is one that *pattern* describes."""
        self.wait("pattern => new RegExp(`^${pattern}$`).test(location.href)", pattern)

    def press(self, key: str) -> None:
        """Press *key* and let it go."""
        self._do("press", key=key)

    def size(self, width: int, height: int) -> None:
        """Make the page that large."""
        self._do("size", width=width, height=height)

    def shoot(self, path: Path) -> None:
        """Take a picture of what is to be seen."""
        self._do("shoot", path=str(path))

    def see_it_close(self) -> None:
        """Wait until it has closed by itself."""
        self._do("closed")

    def front(self) -> None:
        """Bring it before the other tabs."""
        self._do("front")


@dataclass(frozen=True, slots=True)
class Firefox:
    """A browser that answers."""

    downloads: Path
    _commands: IO[str] = field(repr=False)
    _answers: IO[str] = field(repr=False)

    def do(self, verb: str, **message: object) -> Any:
        """Do one thing and return what came of it."""
        self._commands.write(json.dumps({"verb": verb, **message}) + "\n")
        self._commands.flush()
        return self.answer()

    def answer(self) -> Any:
        """Return what the browser says next."""
        line = self._answers.readline()
        assert line, "Firefox ended"
        answer = json.loads(line)
        assert "problem" not in answer, answer["problem"]
        return answer["value"]

    def opened(self) -> Tab:
        """Wait for a window that a page has opened."""
        return Tab(self, self.do("opened"))

    def new_tab(self) -> Tab:
        """Open a tab."""
        return Tab(self, self.do("open"))


@contextmanager
def running_firefox(folder: Path, *, authority: Path | None = None, dark: bool = False) -> Iterator[Firefox]:
    """Run a headless Firefox until the block ends; what it keeps and downloads lies in *folder*.

    It trusts *authority*, a certificate in PEM, besides those it comes with.
    """
    executable, node = firefox(), installed()
    profile, downloads = folder / "profile", folder / "downloads"
    profile.mkdir()
    downloads.mkdir()
    if authority is not None:
        _trust(authority, profile)
    preferences = {
        **_QUIET,
        "browser.download.dir": str(downloads),
        "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
    }
    command = [node, "--no-warnings", str(FOLDER / "firefox.mjs")]
    with (
        (folder / "firefox.log").open("w") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "HOME": str(folder)},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        started = Firefox(downloads, process.stdin, process.stdout)
        try:
            process.stdin.write(
                json.dumps({"executable": executable, "profile": str(profile), "preferences": preferences}) + "\n"
            )
            process.stdin.flush()
            version = started.answer()
            assert re.match(r"firefox/\d+", version), version
            yield started
        finally:
            process.stdin.close()  # the driver ends with its input, and the browser with the driver
            try:
                process.wait(timeout=_END)
            except subprocess.TimeoutExpired:
                process.terminate()  # puppeteer ends the browser then
                process.wait(timeout=_END)


def _trust(authority: Path, profile: Path) -> None:
    store = ["-d", f"sql:{profile}"]
    for arguments in (["-N", "--empty-password"], ["-A", "-n", "tests", "-t", "C,,", "-i", str(authority)]):
        subprocess.run([certutil(), *arguments, *store], check=True, capture_output=True, timeout=_START)

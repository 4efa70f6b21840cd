"""Running what others wrote while an app's environment is made: by whom, with which variables, and what it says.

Where root asks and the app runs as somebody else, so does all of this: a package's own code runs while it is built, and
the interpreter of an environment runs what was installed there.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portal.contract.privileges import giving_up
from portal.machine.terminal import plain
from portal.machine.users import Account

_UMASK: Final = 0o022
"""The app's user may be another than the one who installs."""
_PASSED_ON: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|SSL_CERT_\w+|(REQUESTS|CURL)_CA_BUNDLE|\w+_PROXY|\w+_proxy|"
    r"UV_\w+|NETRC|GIT_\w+|SSH_AUTH_SOCK|CC|CXX|\w*FLAGS|PKG_CONFIG_PATH|LD_LIBRARY_PATH|CUDA_\w+|CMAKE_\w+|"
    r"CARGO_\w+|RUSTUP_\w+|MAKEFLAGS"
)
"""Names of variables that installers see: what a package runs while it is built must not read the portal's secrets."""
_OF_WHO_ASKS: Final = re.compile(r"TMPDIR|XDG_\w+|NETRC|GIT_\w+|SSH_AUTH_SOCK|\w+_CACHE(_DIR)?|CARGO_HOME|RUSTUP_HOME")
"""Of these, what leads to root's own files, and is nothing for somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended; ``text`` has control characters spelled out, but for line breaks and tabs."""

    code: int
    text: str
    """Its standard output."""
    errors: str
    """Its standard error; with its output, where that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Who runs it."""

    account: Account | None = None
    """``None``: whoever asks."""
    home: Path | None = None
    """Their ``HOME``, where they are somebody else."""

    def run(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None = None,
        together: bool = False,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run *command* to its end, with what installers see of *environ*; *together* has errors in the output.

        Somebody else's process gets a session of its own, and so no terminal where it could type; what it leaves
        behind in its process group is ended.

        Raises:
            OSError: it cannot be started.
            subprocess.TimeoutExpired: it took longer than *timeout* seconds.
        """
        process = subprocess.Popen(  # noqa: S603 - our own command lines, without a shell
            list(command),
            cwd=cwd,
            env=self.variables(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            text=True,
            errors="replace",
            umask=_UMASK,
            **self._change_of_user(),
        )
        with process:
            try:
                output, errors = process.communicate(timeout=timeout)
            finally:
                if process.poll() is None:
                    process.kill()
                if self.account is not None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        return CommandResult(code=process.returncode, text=plain(output), errors=plain(errors or ""))

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what of *environ* is seen: indexes, proxies, compilers, and no secret of the portal's."""
        seen = passed_on(environ)
        if self.account is None:
            return seen
        seen = {name: value for name, value in seen.items() if not _OF_WHO_ASKS.fullmatch(name)}
        name = self.account.name or str(self.account.uid)
        # Links to a cache would be other names of what is theirs no more.
        return {**seen, "HOME": str(self.home or "/"), "USER": name, "LOGNAME": name, "UV_LINK_MODE": "copy"}

    def _change_of_user(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        who = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return {**who, "start_new_session": True, "preexec_fn": giving_up()}


@contextmanager
def builder_for(account: Account | None) -> Iterator[Builder]:
    """Return who runs it, *account* or who asks, with a folder of their own for as long."""
    if account is None:
        yield Builder()
        return
    home = Path(tempfile.mkdtemp(prefix="portal-install-"))  # mode 0700
    try:
        os.chown(home, account.uid, account.gid)
        yield Builder(account=account, home=home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* installers see: indexes, proxies, compilers, and no secret of the portal's."""
    return {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}

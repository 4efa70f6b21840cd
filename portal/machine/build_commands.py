"""Running untrusted code while an app's environment is made: as which user, with which variables.

If root installs and the app has a user of its own, that user runs all of this: a package's own code runs while it is
built, and the interpreter of an environment runs what was installed there.
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

from portal.contract.privileges import no_new_privileges
from portal.machine.terminal import plain
from portal.machine.users import Account

UMASK: Final = 0o022
"""The app may run as another user than the one who installs."""
_VARIABLES: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|SSL_CERT_\w+|(REQUESTS|CURL)_CA_BUNDLE|\w+_PROXY|\w+_proxy|"
    r"UV_\w+|NETRC|GIT_\w+|SSH_AUTH_SOCK|CC|CXX|\w*FLAGS|PKG_CONFIG_PATH|LD_LIBRARY_PATH|CUDA_\w+|CMAKE_\w+|"
    r"CARGO_\w+|RUSTUP_\w+|MAKEFLAGS"
)
"""Variables that uv and packages get: code that runs while a package is built must not read the portal's secrets."""
_PERSONAL: Final = re.compile(r"TMPDIR|XDG_\w+|NETRC|GIT_\w+|SSH_AUTH_SOCK|\w+_CACHE(_DIR)?|CARGO_HOME|RUSTUP_HOME")
"""Those of them that point to root's own files and are useless to another user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """Result of a command; control characters in its output are escaped, except line breaks and tabs."""

    code: int
    text: str
    """Its standard output."""
    errors: str
    """Its standard error; empty if it is in ``text``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Runs commands, as another user if there is one."""

    account: Account | None = None
    """``None``: the current user."""
    home: Path | None = None
    """``HOME`` of the other user."""

    def run(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None = None,
        together: bool = False,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run *command* to its end with the variables for uv in *environ*; *together* merges errors into the output.

        Another user's process gets a session of its own, so it cannot write to the terminal; processes that it
        leaves behind in its group are killed.

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
            umask=UMASK,
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
        """Return the variables of *environ* for a command: indexes, proxies, compilers, and no secret of the portal."""
        variables = installer_variables(environ)
        if self.account is None:
            return variables if _has_cache(variables) else {**variables, "UV_NO_CACHE": "1"}
        variables = {name: value for name, value in variables.items() if not _PERSONAL.fullmatch(name)}
        name = self.account.name or str(self.account.uid)
        # Hard links to a cache could not be given to root.
        return {**variables, "HOME": str(self.home or "/"), "USER": name, "LOGNAME": name, "UV_LINK_MODE": "copy"}

    def _change_of_user(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        user = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return {**user, "start_new_session": True, "preexec_fn": no_new_privileges()}


def _has_cache(variables: Mapping[str, str]) -> bool:
    """Return whether uv can keep a cache: a service's user may have no home folder."""
    home = variables.get("XDG_CACHE_HOME") or variables.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - may be none
    return "UV_CACHE_DIR" in variables or os.access(home, os.W_OK)


@contextmanager
def builder_for(account: Account | None) -> Iterator[Builder]:
    """Yield a builder for *account*, with a temporary home, or for the current user."""
    if account is None:
        yield Builder()
        return
    home = Path(tempfile.mkdtemp(prefix="portal-install-"))  # mode 0700
    try:
        os.chown(home, account.uid, account.gid)
        yield Builder(account=account, home=home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def installer_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *environ* for uv: indexes, proxies, compilers, and no secret of the portal."""
    return {name: value for name, value in environ.items() if _VARIABLES.fullmatch(name)}

"""The apps of the portal: which there are, their addresses, and who may open them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

EVERYONE: Final = "everyone"
"""In ``open_to``: everyone who is signed in."""
EVERY_PROVIDER: Final = "*"
"""In ``provider``: the app or rule explicitly applies to people of every provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """One app of the catalogue."""

    slug: str
    """Its name in addresses and tickets: lower-case letters, digits and hyphens, 1 to 63 characters."""
    title: str
    url: str
    """Its address for browsers, without a trailing slash; may have a path."""
    description: str = ""
    icon: str = ""
    """One emoji or up to two letters; shown on the card."""
    source: str | None = None
    """File, module or Space folder that the supervisor serves; ``None`` for an app that runs elsewhere."""
    internal_url: str | None = None
    """Its address for the portal; ``None`` means :attr:`url`."""
    port: int | None = None
    """Port the supervisor listens on for it."""
    open_to: frozenset[str] = frozenset()
    """Roles that may open it, or :data:`EVERYONE`.  Empty: no role."""
    provider: str | None = None
    """The one provider whose people it is open to; ``None`` and :data:`EVERY_PROVIDER` mean each.

    Tenants and addresses of one provider mean nothing at another.
    """
    tenants: frozenset[str] | None = None
    """Tenants it is open in; ``None`` means all."""
    people: frozenset[str] = frozenset()
    """Verified e-mail addresses, case-folded, of people who may open it besides the roles."""
    portal_api: frozenset[str] = frozenset()
    """Rights it may use at the portal's API: ``audit:read``, ``sign-ins:read``, ``sign-ins:end``."""
    browser: tuple[str, ...] = ()
    """Permissions-Policy features its frame may use."""
    start: str = "/"
    """The local path at which it opens, perhaps with a query."""
    required: bool = False
    """Whether ``/readyz`` waits for it."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables of its process, besides the allowed ones."""
    secrets: tuple[str, ...] = ()
    """Names of environment variables handed to this app alone, and redacted everywhere."""
    python: str | None = None
    """Interpreter that runs it; ``None`` means the portal's own."""
    shared_files: bool = False
    """Whether files of Gradio's cache without a known owner are served to everybody who may open it."""
    start_timeout: int = 600
    """Seconds it may take to start."""
    drain_timeout: int = 120
    """Seconds that a replaced process has to finish its running events."""
    memory: int | None = None
    """Bytes it may use; ``None`` means no limit."""
    user: str | None = None
    """User of this machine that it runs as, by name or number; ``None`` means the portal's own."""
    env_file: str | None = None
    """File of variables handed to this app alone, and redacted everywhere."""

    @property
    def origin(self) -> str:
        """Scheme, host and port of :attr:`url`."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All apps, in the order of the configuration."""

    apps: tuple[AppSpec, ...] = field(default=())

    def find(self, slug: str) -> AppSpec | None:
        """Return the app called *slug*, or ``None``."""
        return next((app for app in self.apps if app.slug == slug), None)

    def __iter__(self) -> Iterator[AppSpec]:
        return iter(self.apps)

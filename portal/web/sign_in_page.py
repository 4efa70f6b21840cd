"""The sign-in page: a button per provider, the last used first, and the provider of an e-mail address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from flask import request
from werkzeug.wrappers import Response

from portal.rules.provider_paths import provider_path
from portal.rules.redirects import HOME
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.web.pages import ProviderButton, SignInPage
from portal.web.services import services

ASK: Final = "ask"
"""The parameter of ``/sign-in`` that shows the page even if there is only one provider to go to."""
_LAST_USED_FOR: Final = 365 * 86400
_CONTINUE: Final = "Continue with"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How the button of a provider type looks."""

    drawing: str
    """Its symbol in ``static/marks.svg``."""
    invitation: str = _CONTINUE
    """Text before the provider's label."""


_MICROSOFT: Final = Mark(drawing="microsoft", invitation="Sign in with")
_PLAIN: Final = Mark(drawing="key")
MARKS: Final[Mapping[str, Mark]] = MappingProxyType(
    {
        "auth0": Mark(drawing="auth0"),
        "azure-ad": _MICROSOFT,
        "azure-ad-hybrid": _MICROSOFT,
        "github": Mark(drawing="github"),
        "gitlab": Mark(drawing="gitlab"),
        "google": Mark(drawing="google"),
        "huggingface": Mark(drawing="huggingface", invitation="Sign in with"),
        "okta": Mark(drawing="okta"),
    }
)
"""By provider type.  Types whose owners do not allow the use of their mark have the plain one."""


def sign_in_page(*, target: str, address: str = "", address_unknown: bool = False) -> SignInPage:
    """Return the page that leads to *target*; with *address_unknown*, it reports that *address* has no provider."""
    specs = [provider.spec for provider in services().providers.values()]
    return SignInPage(
        # The path only: an app's title would reveal that the app exists.
        going_to=None if target == HOME else target.partition("?")[0].partition("#")[0],
        target=target,
        buttons=buttons(specs, last_used=last_used(), target=target),
        asks_address=any(spec.domains and (spec.hidden or len(specs) > 1) for spec in specs),
        address=address,
        address_unknown=address_unknown,
    )


def buttons(specs: Iterable[ProviderSpec], *, last_used: str | None, target: str) -> tuple[ProviderButton, ...]:
    """Return a button for each of *specs* that is not hidden: *last_used* first, the others in order."""
    known = sorted((spec for spec in specs if not spec.hidden), key=lambda spec: spec.id != last_used)
    query = "" if target == HOME else f"?{urlencode({'next': target}, safe='/?')}"
    return tuple(
        ProviderButton(
            invitation=MARKS.get(spec.provider_type, _PLAIN).invitation,
            label=spec.label,
            href=f"{provider_path(spec.id)}{query}",
            mark=MARKS.get(spec.provider_type, _PLAIN).drawing,
            was_last=len(known) > 1 and spec.id == last_used,
        )
        for spec in known
    )


def provider_of_address(address: str, specs: Iterable[ProviderSpec]) -> ProviderSpec | None:
    """Return the one of *specs* whose ``domains`` include that of *address*, or ``None``."""
    plain = values.email({"email": address})
    domain = "" if plain is None else plain.rpartition("@")[2].lower()
    return next((spec for spec in specs if domain in spec.domains), None)


def last_used() -> str | None:
    """Return the id of the provider in this browser's cookie; use it for the order of buttons only."""
    return request.cookies.get(_cookie_name())


def remember_last_used(provider_id: str, response: Response) -> None:
    """Store the provider in a cookie for a year."""
    response.set_cookie(
        _cookie_name(),
        provider_id,
        max_age=_LAST_USED_FOR,
        secure=services().settings.secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name() -> str:
    return "__Host-portal-provider" if services().settings.secure_cookies else "portal-provider"

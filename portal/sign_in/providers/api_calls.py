"""Calls a provider's API, as ``portal.sign_in.provider_types`` lists them, with the access token.

An access token goes only to addresses of the configuration, and from page to page of one list within its origin.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests

from portal.contract.truncation import quoted
from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.provider_types.base import TRUNCATED, ApiCall
from portal.sign_in.providers.json_documents import read_list, read_object
from portal.sign_in.providers.transport import Budget, Transport

_log: Final = logging.getLogger("portal.providers")


class ApiRefused(ProviderUnavailable):
    """The provider's API does not accept the access token, or not any more."""


def with_answers(
    claims: Mapping[str, object],
    *,
    calls: Sequence[ApiCall],
    spec: ProviderSpec,
    access_token: str,
    transport: Transport,
    budget: Budget,
) -> dict[str, object]:
    """Return *claims* with the answer to each of *calls* under its name, which replaces any claim of that name.

    :data:`TRUNCATED` lists the names of answers with more pages than are fetched.

    Raises:
        ProviderUnavailable: a call failed; one that may be refused and was is omitted instead.
    """
    names = {TRUNCATED, *(call.name for call in calls)}
    known = {name: value for name, value in claims.items() if name not in names}
    truncated: list[str] = []
    for call in calls:
        if call.needed(known):
            answer, has_more = _answer(
                call, call.url(spec), access_token=access_token, transport=transport, budget=budget
            )
            if answer is None:
                _log.warning("%s refuses to answer %s: nothing follows from it", spec.id, call.name)
            else:
                known[call.name] = answer
            if has_more:
                truncated.append(call.name)
    return {**known, TRUNCATED: truncated} if truncated else known


def _answer(
    call: ApiCall, url: str, *, access_token: str, transport: Transport, budget: Budget
) -> tuple[object | None, bool]:
    """Return the answer, ``None`` if it is refused, and whether it has more pages than are fetched."""
    headers = {"Authorization": f"Bearer {access_token}"}
    entries: list[object] = []
    for _ in range(max(call.pages, 1)):
        response = transport.fetch(url, budget=budget, headers=headers, body=call.body)
        if response.status_code in call.refusals and not _is_throttled(response):
            return None, False
        if response.status_code != requests.codes.ok:
            kind = ApiRefused if _refuses_token(response) else ProviderUnavailable
            raise kind(f"{call.name}: {url} answered with status {response.status_code}")
        try:
            if not call.pages:
                return read_object(response.content), False
            page, link = _odata_page(response) if call.is_odata else _linked_page(response)
        except ValueError as error:
            raise ProviderUnavailable(f"{call.name}: {url} did not answer with the expected JSON") from error
        entries += page
        if link is None:
            return entries, False
        url = _next_page(link, of=url)
    return entries, True


def _refuses_token(response: requests.Response) -> bool:
    # RFC 6750, section 3.1.  GitHub answers 403 for an account that was suspended, and for much else.
    is_suspended = response.status_code == requests.codes.forbidden and b"suspended" in response.content
    return response.status_code == requests.codes.unauthorized or is_suspended


def _is_throttled(response: requests.Response) -> bool:
    # GitHub answers 403 to too many requests, too: that must not pass for "no groups".
    return "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"


def _linked_page(response: requests.Response) -> tuple[list[object], str | None]:
    """Return the entries of one page, and the link to the next (RFC 8288)."""
    return read_list(response.content), response.links.get("next", {}).get("url")


def _odata_page(response: requests.Response) -> tuple[list[object], str | None]:
    """Return the entries of one page, and the link to the next.

    Raises:
        ValueError: it is not a page.
    """
    document = read_object(response.content)
    entries, link = document.get("value"), document.get("@odata.nextLink")
    if type(entries) is not list or not isinstance(link, str | None):
        raise ValueError("not a page of an OData list")
    return entries, link


def _next_page(link: str, *, of: str) -> str:
    """Return the address of the next page, which must have the origin of this one."""
    following = urljoin(of, link)
    if urlsplit(following)[:2] != urlsplit(of)[:2]:
        raise ProviderUnavailable(f"the next page is at another origin, {quoted(following)}")
    return following

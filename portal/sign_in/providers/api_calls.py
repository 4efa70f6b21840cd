"""Questions to a provider's API: what ``portal.sign_in.provider_types`` lists, asked with the access token.

An access token goes to addresses of the configuration only, and from page to page of one of them within its origin.
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


def with_answers(
    claims: Mapping[str, object],
    *,
    calls: Sequence[ApiCall],
    spec: ProviderSpec,
    access_token: str,
    transport: Transport,
    budget: Budget,
) -> dict[str, object]:
    """Return *claims* with the answer to each of *calls* under its name, and nothing else by these names.

    Under :data:`TRUNCATED` stand the names of answers with more pages than are asked for.

    Raises:
        ProviderUnavailable: a call failed; one that may be refused and was, leaves its name out instead.
    """
    names = {TRUNCATED, *(call.name for call in calls)}
    known = {name: value for name, value in claims.items() if name not in names}
    cut: list[str] = []
    for call in calls:
        if call.wanted(known):
            answer, goes_on = _answer(
                call, call.url(spec), access_token=access_token, transport=transport, budget=budget
            )
            if answer is None:
                _log.warning("%s will not say %s: nothing follows from it", spec.id, call.name)
            else:
                known[call.name] = answer
            if goes_on:
                cut.append(call.name)
    return {**known, TRUNCATED: cut} if cut else known


def _answer(
    call: ApiCall, url: str, *, access_token: str, transport: Transport, budget: Budget
) -> tuple[object | None, bool]:
    """Return the answer, ``None`` where it is refused, and whether it has more pages than are asked for."""
    headers = {"Authorization": f"Bearer {access_token}"}
    entries: list[object] = []
    for _ in range(max(call.pages, 1)):
        response = transport.fetch(url, budget=budget, headers=headers, body=call.body)
        if response.status_code in call.refusals and not _is_throttled(response):
            return None, False
        if response.status_code != requests.codes.ok:
            raise ProviderUnavailable(f"{call.name}: {url} answered with status {response.status_code}")
        try:
            if not call.pages:
                return read_object(response.content), False
            page, link = _odata_page(response) if call.is_odata else _linked_page(response)
        except ValueError as error:
            raise ProviderUnavailable(f"{call.name}: {url} answered what is no JSON of its kind") from error
        entries += page
        if link is None:
            return entries, False
        url = _next_page(link, of=url)
    return entries, True


def _is_throttled(response: requests.Response) -> bool:
    # GitHub says 403 where it has been asked too often: that is no answer, and must not pass for "no groups".
    return "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"


def _linked_page(response: requests.Response) -> tuple[list[object], str | None]:
    """Return the entries of one page, and the link to the next (RFC 8288)."""
    return read_list(response.content), response.links.get("next", {}).get("url")


def _odata_page(response: requests.Response) -> tuple[list[object], str | None]:
    """Return the entries of one page, and the link to the next.

    Raises:
        ValueError: it is no page.
    """
    document = read_object(response.content)
    entries, link = document.get("value"), document.get("@odata.nextLink")
    if type(entries) is not list or not isinstance(link, str | None):
        raise ValueError("no page of an OData list")
    return entries, link


def _next_page(link: str, *, of: str) -> str:
    """Return the address of the next page, which must be where this one was."""
    following = urljoin(of, link)
    if urlsplit(following)[:2] != urlsplit(of)[:2]:
        raise ProviderUnavailable(f"the next page is at another place, {quoted(following)}")
    return following

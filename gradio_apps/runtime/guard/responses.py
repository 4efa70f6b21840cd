"""The guard's own answers: calls get JSON, navigations a page or a redirect."""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from gradio_apps.runtime.guard.asgi import NO_STORE, Scope, Send, raw_target, send_bytes, send_json, send_redirect
from gradio_apps.runtime.guard.headers import AnswerHeaders
from gradio_apps.runtime.guard.pages import HTML, GuardPage, Pages
from gradio_apps.runtime.guard.request_authorization import Presented, RequestRefusal
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract.known_addresses import KnownAddress

_UNQUOTED: Final = "/?%:@!$&'()*+,;=~-._"
_REFUSALS = {
    RequestRefusal.CROSS_ORIGIN: "This request came from another site.",
    RequestRefusal.SERVICE_WORKER: "Service workers are not allowed here.",
    RequestRefusal.UNKNOWN_HOST: "This is not the address of the app.",
}


class Responses:
    """The guard's own answers for one app."""

    def __init__(self, settings: GuardSettings, *, answers: AnswerHeaders) -> None:
        self._path = settings.path
        self._origin = settings.app_origin
        self._headers = answers.of(())
        self.pages = Pages(settings)

    async def json(
        self, send: Send, status: int, value: Mapping[str, object], *, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """Answer a call."""
        await send_json(send, status, value, headers=[*self._headers, *headers])

    async def page(self, send: Send, status: int, page: GuardPage) -> None:
        """Answer with a page of the guard's own."""
        await send_bytes(send, status, self.pages.render(page), content_type=HTML, headers=self.pages.headers)

    async def redirect(self, send: Send, target: str, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send the browser to *target*."""
        await send_redirect(send, target, headers=[*self._headers, *headers])

    async def repeat(self, send: Send, scope: Scope) -> None:
        """Redirect the same request to the same address, where another process takes it."""
        # With the origin: a path that begins with two slashes would name another host.
        target = self._origin + quote(raw_target(scope), safe=_UNQUOTED)
        location = (b"location", target.encode("ascii"))
        await self.bytes(send, 307, b"", content_type="text/plain; charset=utf-8", headers=[location, NO_STORE])

    async def bytes(
        self, send: Send, status: int, body: "bytes", *, content_type: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Answer with *body* as it is."""
        await send_bytes(send, status, body, content_type=content_type, headers=[*self._headers, *headers])

    async def either(self, send: Send, status: int, *, presented: Presented, page: GuardPage, detail: str) -> None:
        """Answer a navigation with *page*, and a call with *detail* and the changing texts of a start's page."""
        if presented.navigation is None:
            retry = [(b"retry-after", b"2")] if status == 503 else []  # noqa: PLR2004 - Service Unavailable
            progress = {"more": page.more, "line": page.line} if page.event == "app-starting" else {}
            await self.json(send, status, {"detail": detail, **progress}, headers=retry)
        else:
            await self.page(send, status, page)

    async def challenge(self, scope: Scope, send: Send, presented: Presented) -> None:
        """Answer a request without a session: redirect a tab to the portal, show a page in a frame, or send 401."""
        if presented.navigation == "document" and presented.method == "GET":
            await self.redirect(send, self.pages.app_page(self._local_target(scope)))
            return
        await self.either(
            send,
            401,
            presented=presented,
            page=self.pages.ended(),
            detail="Your session has ended. Open the app again.",
        )

    async def known(self, send: Send, known: KnownAddress, presented: Presented) -> None:
        """Answer an address that apps link to and the portal handles; this signs nobody out."""
        if known == "sign-in":  # no redirect: an app whose first page leads to a sign-in would loop
            await self.page(send, 200, self.pages.signed_in())
        elif presented.navigation == "document":
            await self.redirect(send, self.pages.at_portal(known))
        else:
            await self.page(send, 200, self.pages.leave(known))

    async def document(self, send: Send, scope: Scope) -> None:
        """Answer with the page that links to the requested document, in its own tab."""
        await self.page(send, 200, self.pages.document(self._local_target(scope)))

    async def refuse(self, send: Send, reason: RequestRefusal) -> None:
        """Refuse a request that is wrong whoever sends it."""
        await self.json(send, reason.status, {"detail": _REFUSALS[reason]})

    def _local_target(self, scope: Scope) -> str:
        return raw_target(scope).decode("latin-1").removeprefix(self._path)

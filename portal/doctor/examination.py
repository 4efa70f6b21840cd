"""The whole examination: which probe depends on which, and which run in parallel.

A host whose name, certificate or reverse proxy is wrong gets no further probes, so one cause gives one finding.
"""

import asyncio
import shutil
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import httpx

from portal.access.notifications import EACH, recipient_of
from portal.clock import Clock
from portal.configuration import cookie_mode
from portal.contract.egress import NotABundle, NotAProxy
from portal.contract.guard_paths import HEALTH_PATH
from portal.contract.probe_tokens import PROBE_HEADER, PROBE_PATH
from portal.doctor.answer_checks import check_app_answer, check_portal_answer
from portal.doctor.backend_checks import check_disk, check_keys, check_notification, check_provider
from portal.doctor.connection_checks import check_connection, check_plain_http
from portal.doctor.connection_probes import PublicAddress, Resolve, connection, plain_http, public_address, resolve_name
from portal.doctor.findings import PORTAL, Check, Finding, problem
from portal.doctor.observations import Answer, Unreached, read_echo
from portal.doctor.request_checks import (
    check_app_to_portal,
    check_clock,
    check_health,
    check_probe,
    check_request,
)
from portal.doctor.request_probes import EVENTS, PAUSE, Prober
from portal.doctor.transfer_checks import check_download, check_silence, check_stream, check_upload, check_websocket
from portal.http_client import client_settings_for
from portal.rules.catalogue import AppSpec
from portal.settings import Settings
from portal.sign_in.provider_types import type_of
from portal.sign_in.providers.base import Provider

TRANSFER: Final = 20_000_000
"""Size of the upload and of the download, in bytes."""
_TRANSFERS_AT_ONCE: Final = 2
_HTTPS: Final = 443

Leave = Callable[[str | None], str]
"""Returns a fresh probe token, for the app that is named or for the portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the probes need."""

    for_handshakes: ssl.SSLContext
    for_requests: ssl.SSLContext
    """The same trust again: a library changes the ALPN protocols of its context."""
    clock: Clock
    silence: int | None
    """Seconds of silence to probe; ``None`` skips that probe."""
    leave: Leave | None = None
    no_leave: str | None = None
    """Why there is no ``leave``."""
    resolve: Resolve = resolve_name
    reported: set[tuple[str, int]] = field(default_factory=set)
    """Hosts and ports whose connections have been reported."""


async def examine(settings: Settings, providers: Mapping[str, Provider], tools: Tools) -> Sequence[Finding]:
    """Return findings about everything in *settings*."""
    findings, ahead = await _check_portal(settings.url, tools)
    transfers = asyncio.Semaphore(_TRANSFERS_AT_ONCE)
    providers_checked = asyncio.gather(*(_check_provider(settings, one) for one in providers.values()))
    apps = await asyncio.gather(*(_check_app(settings, app, tools, ahead, transfers) for app in settings.catalogue))
    keys = check_keys(tools.no_leave)
    findings += [] if keys is None else [keys]
    findings += await providers_checked
    folder = settings.data_dir
    if folder.is_dir():
        findings.append(check_disk(str(folder), shutil.disk_usage(folder).free))
    return [*findings, *(finding for found in apps for finding in found)]


async def examine_from_outside(url: str, tools: Tools) -> Sequence[Finding]:
    """Return findings about the portal at *url* as anyone sees it, without its keys."""
    findings, _ = await _check_portal(url, tools)
    return findings


async def _check_portal(url: str, tools: Tools) -> tuple[list[Finding], int]:
    """Return findings about the portal, and how many seconds its clock is ahead of ours."""
    findings, prober = await _connect(PORTAL, public_address(url), tools, audience=None)
    if prober is None:
        return findings, 0
    try:
        health = check_health(PORTAL, await prober.get("/healthz"), has_path=False, is_app=False)
        findings.append(health)
        if health.level == "problem":
            return findings, 0
        if tools.leave is None:
            answer: Answer | Unreached = await prober.get("/sign-in")
        else:
            answer, sent = await prober.echo(is_app=False)
        refusal = check_probe(PORTAL, answer, is_app=False)
        if refusal is not None or isinstance(answer, Unreached):
            return findings + ([] if refusal is None else [refusal]), 0
        if tools.leave is None:
            return [*findings, *check_portal_answer(PORTAL, answer, None)], 0
        echo = read_echo(answer.body)
        if echo is None:
            return [*findings, _no_echo(PORTAL)], 0
        ahead = echo.now - answer.at
        findings += check_request(PORTAL, echo, sent)
        findings += check_portal_answer(PORTAL, answer, echo)
        findings.append(check_clock(PORTAL, ahead, is_app=False))
    finally:
        await prober.aclose()
    return findings, ahead


async def _check_app(
    settings: Settings, app: AppSpec, tools: Tools, ahead: int, transfers: asyncio.Semaphore
) -> list[Finding]:
    findings, prober = await _connect(app.slug, public_address(app.url), tools, audience=app.slug)
    if prober is None:
        return findings
    try:
        has_path = bool(public_address(app.url).path)
        health = check_health(app.slug, await prober.get(HEALTH_PATH), has_path=has_path, is_app=True)
        findings.append(health)
        if health.level == "problem" or tools.leave is None:
            return findings
        answer, sent = await prober.echo(is_app=True)
        refusal = check_probe(app.slug, answer, is_app=True)
        if refusal is not None or isinstance(answer, Unreached):
            return findings + ([] if refusal is None else [refusal])
        echo = read_echo(answer.body)
        if echo is None:
            return [*findings, _no_echo(app.slug)]
        findings += check_request(app.slug, echo, sent)
        findings += check_app_answer(
            app.slug, answer, echo, portal_origin=settings.origin, cookies=cookie_mode(settings, app)
        )
        findings.append(check_clock(app.slug, echo.now - answer.at - ahead, is_app=True))
        findings += await _streams_and_transfers(settings, app, prober, tools, transfers)
    finally:
        await prober.aclose()
    return findings


async def _streams_and_transfers(
    settings: Settings, app: AppSpec, prober: Prober, tools: Tools, transfers: asyncio.Semaphore
) -> list[Finding]:
    """Run the slow probes in parallel: a guard allows a few at once."""

    async def stream() -> Finding:
        return check_stream(app.slug, await prober.events(count=EVENTS, pause=PAUSE))

    async def silence() -> list[Finding]:
        if tools.silence is None:
            return []
        return [check_silence(app.slug, await prober.events(count=2, pause=tools.silence))]

    async def transfer() -> list[Finding]:
        async with transfers:
            up = check_upload(app.slug, await prober.upload(TRANSFER))
            return [up, check_download(app.slug, await prober.download(TRANSFER))]

    async def rest() -> list[Finding]:
        socket = check_websocket(app.slug, await prober.socket())
        app_to_portal = check_app_to_portal(app.slug, await prober.probe("portal"))
        return [socket, app_to_portal, await _check_notification(settings, app, tools)]

    one, several, more, others = await asyncio.gather(stream(), silence(), transfer(), rest())
    return [one, *several, *more, *others]


async def _connect(
    subject: str, target: PublicAddress, tools: Tools, *, audience: str | None
) -> tuple[list[Finding], Prober | None]:
    """Return findings about the connection to *target*, and a prober if it can be probed."""
    # Apps under paths share a host: its good findings are reported once, its problems for each app.
    key = (target.host, target.port)
    is_reported = key in tools.reported
    tools.reported.add(key)
    route = await connection(target, trust=tools.for_handshakes, resolve=tools.resolve)
    findings = list(check_connection(subject, route, now=tools.clock()))
    if is_reported:
        findings = [finding for finding in findings if finding.level == "problem"]
    if not route.is_open:
        return findings, None
    address = next(one for one in route.addresses if one not in route.silent)
    if not is_reported and target.scheme == "https" and target.port == _HTTPS:
        findings.append(check_plain_http(subject, await plain_http(target.host, address)))
    leave = tools.leave
    prober = Prober(
        target,
        address,
        trust=tools.for_requests,
        clock=tools.clock,
        leave=None if leave is None else lambda: leave(audience),
    )
    return findings, prober


async def _check_notification(settings: Settings, app: AppSpec, tools: Tools) -> Finding:
    """Probe the app at the address of its logout notifications, from this machine, as the portal would."""
    recipient = recipient_of(app)
    headers = {"Host": recipient.host, **({} if tools.leave is None else {PROBE_HEADER: tools.leave(app.slug)})}
    result: Answer | Unreached
    try:
        client_settings = client_settings_for(recipient.url, settings.egress, is_internal=recipient.is_internal)
        async with (
            httpx.AsyncClient(timeout=EACH, follow_redirects=False, **client_settings.keywords()) as client,
            client.stream(
                "GET", f"{recipient.base}{PROBE_PATH}echo", headers=headers, extensions=recipient.extensions
            ) as answer,
        ):
            result = Answer(status=answer.status_code)
    except httpx.TimeoutException:
        result = Unreached("timeout")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, NotABundle, NotAProxy):
        result = Unreached("refused")
    return check_notification(app.slug, recipient.base, result)


async def _check_provider(settings: Settings, provider: Provider) -> Finding:
    spec = provider.spec
    callback = settings.callback_of(spec)
    # An OAuth 2.0 provider publishes no metadata: it is asked to redeem an invalid code instead.
    has_no_metadata = type_of(spec).flow == "oauth2"
    diagnostics = await asyncio.to_thread(
        partial(provider.diagnostics, redirect_uri=callback if has_no_metadata else None)
    )
    return check_provider(spec, callback, diagnostics)


def _no_echo(subject: str) -> Finding:
    return problem(
        subject,
        Check.PROBE,
        "The answer to a probe is not of this version.",
        "Install the same version for portal and guard. Nothing on the way may change JSON.",
    )

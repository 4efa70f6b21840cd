"""The whole examination: which probe follows from which, and what may run beside what.

Nothing is asked of a place whose name, certificate or front is wrong already, so that one cause is one finding.
"""

import asyncio
import shutil
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import httpx

from portal.access.notifications import EACH, PATH, recipient_of
from portal.clock import Clock
from portal.configuration import cookie_mode
from portal.contract.egress import NotABundle, NotAProxy
from portal.contract.probe_tokens import PROBE_HEADER, PROBE_PATH
from portal.doctor.answers import judge_app_answer, judge_portal_answer
from portal.doctor.arrival import (
    judge_admission,
    judge_arrival,
    judge_clock,
    judge_health,
    judge_way_to_the_portal,
)
from portal.doctor.backends import judge_disk, judge_keys, judge_provider, judge_push
from portal.doctor.connection_probes import PublicAddress, Resolve, connection, plain_http, resolved, where
from portal.doctor.connections import judge_connection, judge_plain_http
from portal.doctor.findings import PORTAL, Check, Finding, problem
from portal.doctor.observations import Answer, Echo, Unreached, read_echo
from portal.doctor.probing import EVENTS, PAUSE, Prober
from portal.doctor.transfers import judge_download, judge_silence, judge_socket, judge_stream, judge_upload
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
    """What the doctor looks with."""

    for_handshakes: ssl.SSLContext
    for_requests: ssl.SSLContext
    """The same trust once more: a library changes what its context agrees on."""
    clock: Clock
    silence: int | None
    """Seconds of the silence that must not be cut; ``None`` leaves it out."""
    leave: Leave | None = None
    no_leave: str | None = None
    """Why there is none."""
    resolve: Resolve = resolved
    told: set[tuple[str, int]] = field(default_factory=set)
    """Hosts whose connections were told about already."""


async def examine(settings: Settings, providers: Mapping[str, Provider], means: Tools) -> Sequence[Finding]:
    """Look at everything that *settings* name."""
    findings, ahead = await _portal(settings.url, means)
    transfers = asyncio.Semaphore(_TRANSFERS_AT_ONCE)
    around = asyncio.gather(*(_provider(settings, one) for one in providers.values()))
    apps = await asyncio.gather(*(_app(settings, app, means, ahead, transfers) for app in settings.catalogue))
    keys = judge_keys(means.no_leave)
    findings += [] if keys is None else [keys]
    findings += await around
    folder = settings.data_dir
    if folder.is_dir():
        findings.append(judge_disk(str(folder), shutil.disk_usage(folder).free))
    return [*findings, *(finding for found in apps for finding in found)]


async def examine_from_outside(url: str, means: Tools) -> Sequence[Finding]:
    """Look at the portal at *url* as a stranger sees it."""
    findings, _ = await _portal(url, means)
    return findings


async def _portal(url: str, means: Tools) -> tuple[list[Finding], int]:
    """Return what there is to say of the portal, and how far its clock is ahead of ours."""
    place = where(url)
    findings, asker = await _come_to(PORTAL, place, means, audience=None)
    if asker is None:
        return findings, 0
    try:
        health = judge_health(PORTAL, await asker.get("/healthz"), has_path=False, is_app=False)
        findings.append(health)
        if health.level == "problem":
            return findings, 0
        if means.leave is None:
            answer: Answer | Unreached = await asker.get("/sign-in")
        else:
            answer, sent = await asker.echo(is_app=False)
        refusal = judge_admission(PORTAL, answer, is_app=False)
        if refusal is not None or isinstance(answer, Unreached):
            return findings + ([] if refusal is None else [refusal]), 0
        if means.leave is None:
            return [*findings, *judge_portal_answer(PORTAL, answer, None)], 0
        echo = read_echo(answer.body)
        if echo is None:
            return [*findings, _no_echo(PORTAL)], 0
        ahead = echo.now - answer.at
        findings += judge_arrival(PORTAL, echo, sent)
        findings += judge_portal_answer(PORTAL, answer, echo)
        findings.append(judge_clock(PORTAL, ahead, is_app=False))
    finally:
        await asker.aclose()
    return findings, ahead


async def _app(
    settings: Settings, app: AppSpec, means: Tools, ahead: int, transfers: asyncio.Semaphore
) -> list[Finding]:
    findings, asker = await _come_to(app.slug, where(app.url), means, audience=app.slug)
    if asker is None:
        return findings
    try:
        path = where(app.url).path
        seen = await asker.get("/.portal/health")
        health = judge_health(app.slug, seen, has_path=bool(path), is_app=True)
        findings.append(health)
        if health.level == "problem" or means.leave is None:
            return findings
        answer, sent = await asker.echo(is_app=True)
        refusal = judge_admission(app.slug, answer, is_app=True)
        if refusal is not None or isinstance(answer, Unreached):
            return findings + ([] if refusal is None else [refusal])
        echo = read_echo(answer.body)
        if echo is None:
            return [*findings, _no_echo(app.slug)]
        findings += judge_arrival(app.slug, echo, sent)
        findings += judge_app_answer(
            app.slug, answer, echo, portal_origin=settings.origin, cookies=cookie_mode(settings, app)
        )
        findings.append(judge_clock(app.slug, _difference(echo, answer, ahead), is_app=True))
        findings += await _streams_and_transfers(settings, app, asker, means, transfers)
    finally:
        await asker.aclose()
    return findings


async def _streams_and_transfers(
    settings: Settings, app: AppSpec, asker: Prober, means: Tools, transfers: asyncio.Semaphore
) -> list[Finding]:
    """Look at what takes its time, side by side, for a guard lets a few probes run at once."""

    async def stream() -> Finding:
        return judge_stream(app.slug, await asker.events(count=EVENTS, pause=PAUSE))

    async def silence() -> list[Finding]:
        if means.silence is None:
            return []
        return [judge_silence(app.slug, await asker.events(count=2, pause=means.silence))]

    async def moved() -> list[Finding]:
        async with transfers:
            up = judge_upload(app.slug, await asker.upload(TRANSFER))
            return [up, judge_download(app.slug, await asker.download(TRANSFER))]

    async def rest() -> list[Finding]:
        socket = judge_socket(app.slug, await asker.socket())
        way = judge_way_to_the_portal(app.slug, await asker.probe("portal"))
        return [socket, way, await _push(settings, app, means)]

    one, several, more, others = await asyncio.gather(stream(), silence(), moved(), rest())
    return [one, *several, *more, *others]


async def _come_to(
    subject: str, place: PublicAddress, means: Tools, *, audience: str | None
) -> tuple[list[Finding], Prober | None]:
    """Return what there is to say of the way to *place*, and who asks there, if anybody can."""
    # Apps under paths share a host: what is good about it is told once, and what is bad of each.
    key = (place.host, place.port)
    told = key in means.told
    means.told.add(key)
    seen = await connection(place, trust=means.for_handshakes, resolve=means.resolve)
    findings = list(judge_connection(subject, seen, now=means.clock()))
    if told:
        findings = [finding for finding in findings if finding.level == "problem"]
    if not seen.is_open:
        return findings, None
    address = next(one for one in seen.addresses if one not in seen.silent)
    if not told and place.scheme == "https" and place.port == _HTTPS:
        findings.append(judge_plain_http(subject, await plain_http(place.host, address)))
    leave = means.leave
    asker = Prober(
        place,
        address,
        trust=means.for_requests,
        clock=means.clock,
        leave=None if leave is None else lambda: leave(audience),
    )
    return findings, asker


async def _push(settings: Settings, app: AppSpec, means: Tools) -> Finding:
    """Go the way of a push, from this machine, as the portal would."""
    place = recipient_of(app)
    base = place.url.removesuffix(PATH)
    headers = {"Host": place.host, **({} if means.leave is None else {PROBE_HEADER: means.leave(app.slug)})}
    extensions = {} if place.server_name is None else {"sni_hostname": place.server_name}
    seen: Answer | Unreached
    try:
        way = client_settings_for(place.url, settings.egress, is_internal=place.is_internal)
        async with (
            httpx.AsyncClient(timeout=EACH, follow_redirects=False, **way.keywords()) as client,
            client.stream("GET", f"{base}{PROBE_PATH}echo", headers=headers, extensions=extensions) as answer,
        ):
            seen = Answer(status=answer.status_code)
    except httpx.TimeoutException:
        seen = Unreached("timeout")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, NotABundle, NotAProxy):
        seen = Unreached("refused")
    return judge_push(app.slug, base, seen)


async def _provider(settings: Settings, provider: Provider) -> Finding:
    spec = provider.spec
    callback = settings.callback_of(spec)
    # One that says nothing of itself is asked with a code that was made up, else it would not be asked at all.
    is_silent = type_of(spec).flow == "oauth2"
    diagnostics = await asyncio.to_thread(partial(provider.diagnostics, redirect_uri=callback if is_silent else None))
    return judge_provider(spec, callback, diagnostics)


def _difference(echo: Echo, answer: Answer, ahead: int) -> int:
    """Return how far an app's clock is ahead of the portal's, in seconds."""
    return echo.now - answer.at - ahead


def _no_echo(subject: str) -> Finding:
    return problem(
        subject,
        Check.PROBE,
        "What answers a probe is no answer of this version.",
        "Bring portal and guard to one version; nothing on the way may change JSON.",
    )

"""Judging streams, silences, uploads, downloads and WebSockets.  Pure."""

from typing import Final

from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Events, Handshake, Transfer

_OK: Final = 200
_MB: Final = 1000**2


def judge_stream(subject: str, seen: Events) -> Finding:
    """Return whether events arrive one by one, as they were sent."""
    if seen.status != _OK or len(seen.arrivals) < seen.asked_for:
        return problem(
            subject,
            Check.STREAM,
            f"A stream is cut: {len(seen.arrivals)} of {seen.asked_for} events arrived (status {seen.status}).",
            "Let answers take as long as they take. nginx: proxy_read_timeout 1h; proxy_http_version 1.1;",
        )
    spread = seen.arrivals[-1] - seen.arrivals[0]
    if spread < seen.pause * (seen.asked_for - 1) / 2:
        packed = f", and compressed ({seen.encoding})" if seen.encoding else ""
        return problem(
            subject,
            Check.STREAM,
            f"A stream is held back{packed}: its events arrive together at the end. Progress and chat stand still.",
            "nginx: proxy_buffering off; in the app's location, and no gzip_types text/event-stream. "
            "Caddy: flush_interval -1. Traefik and others: no compression and no buffering for text/event-stream.",
        )
    return ok(subject, Check.STREAM, "Events arrive one by one.")


def judge_silence(subject: str, seen: Events) -> Finding:
    """Return whether a stream that says nothing for a while goes on."""
    if seen.status == _OK and len(seen.arrivals) == seen.asked_for:
        return ok(subject, Check.SILENCE, f"A stream that is silent for {seen.pause:.0f} seconds goes on.")
    return problem(
        subject,
        Check.SILENCE,
        f"A stream that says nothing is cut after {seen.seconds:.0f} seconds.",
        "Let answers be silent for longer. nginx: proxy_read_timeout 1h; and the idle time-out of every load balancer "
        "in front (AWS ALB: idle_timeout 60 s by default; HAProxy: timeout server, timeout tunnel).",
    )


def judge_upload(subject: str, seen: Transfer) -> Finding:
    """Return whether a large upload arrives whole."""
    size = f"{seen.size / _MB:.0f} MB"
    if seen.status == _OK and seen.arrived == seen.size:
        return ok(subject, Check.UPLOAD, f"{size} pass in {seen.seconds:.1f} s.")
    if seen.status == 413:  # noqa: PLR2004 - Content Too Large
        said = f"An upload of {size} is refused as too large (413)."
    elif seen.status is None:
        said = f"An upload of {size} is cut off."
    else:
        said = f"An upload of {size} does not arrive (status {seen.status}, {seen.arrived} bytes)."
    return problem(
        subject,
        Check.UPLOAD,
        said,
        "nginx: client_max_body_size 0; and proxy_request_buffering off; in the app's location. Caddy: no "
        "request_body max_size. A filter in front (WAF) may have a limit of its own.",
    )


def judge_download(subject: str, seen: Transfer) -> Finding:
    """Return whether a large answer arrives whole."""
    size = f"{seen.size / _MB:.0f} MB"
    if seen.status == _OK and seen.arrived == seen.size:
        return ok(subject, Check.DOWNLOAD, f"{size} pass in {seen.seconds:.1f} s.")
    return problem(
        subject,
        Check.DOWNLOAD,
        f"Of a download of {size}, {seen.arrived} bytes arrive.",
        "nginx: proxy_buffering off; or room for proxy_temp_path. Look into the log of the web server.",
    )


def judge_socket(subject: str, seen: Handshake) -> Finding:
    """Return whether a WebSocket comes about; Gradio needs none, apps with routes of their own may."""
    if seen.message:
        return ok(subject, Check.WEBSOCKET, "It opens.")
    if seen.upgrade_arrived:
        return ok(
            subject,
            Check.WEBSOCKET,
            "The front passes it on. This app's interpreter has no library for it; Gradio needs none.",
        )
    return warning(
        subject,
        Check.WEBSOCKET,
        "It does not come about; Gradio needs none, but apps with routes of their own may.",
        "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection with "
        "the map that portal config nginx writes.",
    )

"""Checks of streams, silences, uploads, downloads and WebSockets.  Pure."""

from typing import Final

from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Events, Handshake, Transfer

_OK: Final = 200
_MB: Final = 1000**2


def check_stream(subject: str, events: Events) -> Finding:
    """Return whether events arrive one by one."""
    if events.status != _OK or len(events.arrivals) < events.asked_for:
        return problem(
            subject,
            Check.STREAM,
            f"A stream is cut: {len(events.arrivals)} of {events.asked_for} events arrived (status {events.status}).",
            "Do not limit how long an answer takes. nginx: proxy_read_timeout 1h; proxy_http_version 1.1;",
        )
    spread = events.arrivals[-1] - events.arrivals[0]
    if spread < events.pause * (events.asked_for - 1) / 2:
        packed = f", and compressed ({events.encoding})" if events.encoding else ""
        return problem(
            subject,
            Check.STREAM,
            f"A stream is buffered{packed}: its events arrive together at the end. Progress and chat do not move.",
            "nginx: proxy_buffering off; in the app's location, and no gzip_types text/event-stream. "
            "Caddy: flush_interval -1. Traefik and others: no compression and no buffering for text/event-stream.",
        )
    return ok(subject, Check.STREAM, "Events arrive one by one.")


def check_silence(subject: str, events: Events) -> Finding:
    """Return whether a stream that is silent for a while goes on."""
    if events.status == _OK and len(events.arrivals) == events.asked_for:
        return ok(subject, Check.SILENCE, f"A stream that is silent for {events.pause:.0f} seconds goes on.")
    return problem(
        subject,
        Check.SILENCE,
        f"A silent stream is cut after {events.seconds:.0f} seconds.",
        "Allow longer silences. nginx: proxy_read_timeout 1h; and raise the idle time-out of load balancers "
        "(AWS ALB: idle_timeout 60 s by default; HAProxy: timeout server, timeout tunnel).",
    )


def check_upload(subject: str, transfer: Transfer) -> Finding:
    """Return whether a large upload arrives whole."""
    size = f"{transfer.size / _MB:.0f} MB"
    if transfer.status == _OK and transfer.arrived == transfer.size:
        return ok(subject, Check.UPLOAD, f"{size} arrive in {transfer.seconds:.1f} s.")
    if transfer.status == 413:  # noqa: PLR2004 - Content Too Large
        message = f"An upload of {size} is refused as too large (413)."
    elif transfer.status is None:
        message = f"An upload of {size} is cut off."
    else:
        message = f"An upload of {size} does not arrive (status {transfer.status}, {transfer.arrived} bytes)."
    return problem(
        subject,
        Check.UPLOAD,
        message,
        "nginx: client_max_body_size 0; and proxy_request_buffering off; in the app's location. Caddy: no "
        "request_body max_size. A web application firewall may have a limit of its own.",
    )


def check_download(subject: str, transfer: Transfer) -> Finding:
    """Return whether a large answer arrives whole."""
    size = f"{transfer.size / _MB:.0f} MB"
    if transfer.status == _OK and transfer.arrived == transfer.size:
        return ok(subject, Check.DOWNLOAD, f"{size} arrive in {transfer.seconds:.1f} s.")
    return problem(
        subject,
        Check.DOWNLOAD,
        f"Of a download of {size}, {transfer.arrived} bytes arrive.",
        "nginx: proxy_buffering off; or more disk space at proxy_temp_path. Read the web server's log.",
    )


def check_websocket(subject: str, handshake: Handshake) -> Finding:
    """Return whether a WebSocket opens; Gradio needs none, apps with routes of their own may."""
    if handshake.message:
        return ok(subject, Check.WEBSOCKET, "It opens.")
    if handshake.upgrade_arrived:
        return ok(
            subject,
            Check.WEBSOCKET,
            "The reverse proxy forwards it. This app's interpreter has no WebSocket library; Gradio needs none.",
        )
    return warning(
        subject,
        Check.WEBSOCKET,
        "It does not open. Gradio needs none, but apps with routes of their own may.",
        "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection with "
        "the map that portal config nginx writes.",
    )

"""The section ``[portal]``, and the variables that win over it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast, get_args
from urllib.parse import urlsplit

from portal.configuration.addresses import (
    host_of,
    is_site,
    is_within,
    normalised,
    origin_of,
    problem_of,
)
from portal.configuration.app_users import NotARange, read_range
from portal.configuration.documented import keys_under
from portal.configuration.egress import read_ca_file
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Table
from portal.contract import NotANetwork, TrustedProxies, is_loopback_url, read_network
from portal.contract.forwarded import Network
from portal.errors import ENVIRONMENT
from portal.settings import DAY, HOUR, RunBy, SignInWay

FIRST_PORT: Final = 7810
CHAINLIT_URL: Final = "CHAINLIT_URL"
SPACE_HOST: Final = "SPACE_HOST"
CALLBACK: Final = "OAUTH_REDIRECT_URI"
_URLS: Final = ("PORTAL_URL", CHAINLIT_URL)
_LOOPBACK: Final = ("127.0.0.1", "::1")
_CONTACT: Final = re.compile(r"mailto:[!-~]+@[!-~]+|https://[!-~]+")
SIGN_INS_PER_MINUTE: Final = 600
_LONGEST_SIGN_IN: Final = 400 * DAY  # browsers keep no cookie longer (RFC 6265bis, 5.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalTable:
    """What ``[portal]`` says; ``url`` is ``None`` where it is missing or wrong."""

    url: str | None
    apps_url: str | None
    apps_port: int
    title: str
    landing: tuple[str, ...]
    idle_lifetime: int
    absolute_lifetime: int
    security_contact: str | None
    sign_ins_per_minute: int
    internal_url: str | None
    data_dir: Path
    site: str | None
    ca_file: Path | None
    sign_in: SignInWay
    trust_apps: bool
    user: str | None
    app_uids: range | None
    apps_dir: Path | None
    apps_run_by: RunBy
    trusted_proxies: TrustedProxies
    metrics_from: tuple[Network, ...]

    @property
    def own_ports(self) -> frozenset[int]:
        """Ports of this machine that the portal itself listens on, as far as its addresses tell."""
        local = [url for url in (self.url, self.internal_url) if url is not None and is_loopback_url(url)]
        return frozenset(port for url in local if (port := urlsplit(url).port) is not None)


def read_portal(
    values: Mapping[str, object], *, folder: Path, here: Path, variables: Variables, report: Report
) -> PortalTable:
    """Read ``[portal]``; paths in the file are relative to *folder*, those in variables to *here*."""
    table = Table(values, at="portal", known=keys_under("portal"), report=report)
    url = _address(table, "url", "PORTAL_URL", variables, report) or _chainlits(table, variables, report)
    url = url or _origin_of_callback(table, variables) or _of_space(table, variables, report)
    if url is None and not table.has("url") and all(variables.get(name) is None for name in (*_URLS, SPACE_HOST)):
        _note_missing(table, variables, report)
    idle = table.lifetime("idle_lifetime", 8 * HOUR, longest=_LONGEST_SIGN_IN)
    absolute = table.lifetime("absolute_lifetime", 30 * DAY, longest=_LONGEST_SIGN_IN)
    if idle > absolute:
        table.problem("idle_lifetime", "is longer than absolute_lifetime.", "Make it shorter, or the other longer.")
    return PortalTable(
        url=url,
        apps_url=variables.get("PORTAL_APPS_URL") or table.text("apps_url"),
        apps_port=table.port("apps_port") or FIRST_PORT,
        title=table.text("title") or "Gradio Portal",
        landing=table.texts("landing") or (),
        idle_lifetime=idle,
        absolute_lifetime=absolute,
        security_contact=_security_contact(table),
        sign_ins_per_minute=table.count("sign_ins_per_minute", SIGN_INS_PER_MINUTE, most=1_000_000),
        internal_url=_address(table, "internal_url", "PORTAL_INTERNAL_URL", variables, report),
        data_dir=_data_dir(table, folder=folder, here=here, variables=variables),
        site=_site(table, url),
        ca_file=read_ca_file(table, folder=folder, here=here, variables=variables, report=report),
        sign_in=_sign_in(table),
        trust_apps=table.flag("trust_apps"),
        user=table.user("user"),
        app_uids=_app_uids(table),
        apps_dir=None if (apps_dir := table.text("apps_dir")) is None else folder / apps_dir,
        apps_run_by=cast("RunBy", table.choice("apps_run_by", get_args(RunBy)) or "portal"),
        trusted_proxies=_trusted_proxies(table, variables, report),
        metrics_from=_metrics_from(table),
    )


def _address(table: Table, key: str, variable: str, variables: Variables, report: Report) -> str | None:
    of_environment = variables.get(variable)
    url = of_environment or table.text(key)
    if url is None:
        return None
    fault = problem_of(url, path="none")
    if fault is None:
        return normalised(url)
    if of_environment is not None:
        report.environment(variable, *fault)
    else:
        table.problem(key, *fault)
    return None


def _security_contact(table: Table) -> str | None:
    """Return the address for ``security.txt``; RFC 9116, section 2.5.3, wants a URI."""
    contact = table.text("security_contact")
    if contact is None or _CONTACT.fullmatch(contact):
        return contact
    table.problem(
        "security_contact",
        "is not a mail address, nor the address of a page.",
        'Write it as "mailto:security@example.com" or "https://example.com/security".',
    )
    return None


def _chainlits(table: Table, variables: Variables, report: Report) -> str | None:
    """Return Chainlit's CHAINLIT_URL, where nothing of the portal's own says its address."""
    url = variables.get(CHAINLIT_URL)
    if url is None or table.has("url") or variables.get("PORTAL_URL") is not None:
        return None
    fault = problem_of(url, path="none")
    if fault is not None:
        report.environment(CHAINLIT_URL, *fault)
    return normalised(url) if fault is None else None


def _origin_of_callback(table: Table, variables: Variables) -> str | None:
    """Return the origin of the tutorial's OAUTH_REDIRECT_URI, where nothing else says the portal's address."""
    callback = variables.get(CALLBACK)
    if callback is None or not callback_says_place(variables, in_file=table.has("url")):
        return None
    return origin_of(callback) if problem_of(callback, path="plain") is None else None


def callback_says_place(variables: Variables, *, in_file: bool) -> bool:
    """Say whether nothing but OAUTH_REDIRECT_URI says where the portal is; *in_file*: whether the file does."""
    return not in_file and all(variables.get(name) is None for name in _URLS)


def _note_missing(table: Table, variables: Variables, report: Report) -> None:
    """Note that nothing says the portal's address; or why the callback, which would, does not."""
    callback = variables.get(CALLBACK)
    fault = None if callback is None else problem_of(callback, path="plain")
    if fault is None:
        table.problem("url", "is missing.", "Say where browsers reach the portal, here or as PORTAL_URL.")
    else:
        what = f"would say where the portal is, which nothing else does, but {fault.what}"
        report.environment(CALLBACK, what, f"{fault.fix} Or say where browsers reach the portal, as PORTAL_URL.")


def _of_space(table: Table, variables: Variables, report: Report) -> str | None:
    """Return the address of the Hugging Face Space the portal runs in, where nothing else says where it is.

    With a domain of its own a Space has several hosts, separated by commas; the first is the one Hugging Face gave.
    """
    hosts = variables.get(SPACE_HOST)
    if hosts is None or table.has("url") or any(variables.get(name) is not None for name in _URLS):
        return None
    host = hosts.partition(",")[0].strip()
    url = f"https://{host}"
    if "/" in host or problem_of(url, path="none") is not None:
        report.environment(
            SPACE_HOST, "does not begin with a host.", "Leave it as the Space sets it, or set PORTAL_URL."
        )
        return None
    return normalised(url)


def _data_dir(table: Table, *, folder: Path, here: Path, variables: Variables) -> Path:
    of_environment = variables.get("PORTAL_DATA_DIR")
    if of_environment is not None:
        return here / of_environment
    return folder / (table.text("data_dir") or ".portal")


def _trusted_proxies(table: Table, variables: Variables, report: Report) -> TrustedProxies:
    of_environment = variables.get("PORTAL_TRUSTED_PROXIES")
    if of_environment is None:
        texts = table.texts("trusted_proxies") or ()
    else:
        texts = tuple(of_environment.replace(",", " ").split())
    networks = []
    for text in texts:
        try:
            networks.append(read_network(text))
        except NotANetwork as error:
            what, fix = f"names {text!r}, which {error}.", "Write the addresses of your own web servers."
            if of_environment is None:
                table.problem("trusted_proxies", what, fix)
            else:
                report.environment("PORTAL_TRUSTED_PROXIES", what, fix)
    return TrustedProxies(tuple(networks))


def _metrics_from(table: Table) -> tuple[Network, ...]:
    texts = (table.texts("metrics_from") or ()) if table.has("metrics_from") else _LOOPBACK
    networks = []
    for text in texts:
        try:
            networks.append(read_network(text))
        except NotANetwork as error:
            table.problem("metrics_from", f"names {text!r}, which {error}.", "Write the addresses of your Prometheus.")
    return tuple(networks)


def _app_uids(table: Table) -> range | None:
    text = table.text("app_uids")
    if text is None:
        return None
    if table.text("apps_run_by") == "systemd":
        table.problem("app_uids", "is given, but systemd runs the apps, and gives each a user.", "Leave it out.")
        return None
    try:
        return read_range(text)
    except NotARange as error:
        table.problem("app_uids", f"{error}.", 'Write numbers that nobody here has, like "70000-79999".')
        return None


def _sign_in(table: Table) -> SignInWay:
    match table.text("sign_in"):
        case None | "page":
            return "page"
        case "direct":
            return "direct"
        case other:
            table.problem("sign_in", f"is {other!r}, which is none of the two.", 'Write "page" or "direct".')
            return "page"


def _site(table: Table, url: str | None) -> str | None:
    written = table.text("site")
    if written is None:
        return None
    site = written.lower()  # as addresses are read
    if not is_site(site):
        table.problem("site", "is no registrable domain.", 'Write the domain you registered, like "example.com".')
        return None
    if url is not None and not is_within(host_of(url), site):
        table.problem("site", "does not hold the portal's own host.", "Write the domain that portal and apps share.")
        return None
    return site


def place_of_url(variables: Variables, report: Report, *, in_file: bool) -> tuple[str, str]:
    """Return place and key where the portal's address was said."""
    if variables.get("PORTAL_URL") is not None:
        return ENVIRONMENT, "PORTAL_URL"
    if variables.get(CHAINLIT_URL) is not None and not in_file:
        return ENVIRONMENT, CHAINLIT_URL
    if variables.get(SPACE_HOST) is not None and variables.get(CALLBACK) is None and not in_file:
        return ENVIRONMENT, SPACE_HOST
    return report.place, "portal.url"

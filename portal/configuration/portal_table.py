"""The section ``[portal]``, and the variables that win over it or stand in for it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

from portal.configuration.addresses import (
    AddressProblem,
    host_of,
    is_site,
    is_within,
    normalised,
    origin_of,
    problem_of,
)
from portal.configuration.app_users import NotARange, read_range
from portal.configuration.declaration import REQUIRED, Section, Setting, Variable
from portal.configuration.egress import read_authorities, read_client_settings
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Count, Duration, Table, one_of, url_with
from portal.contract import NotANetwork, TrustedProxies, read_network
from portal.contract.forwarded import Network
from portal.errors import ENVIRONMENT
from portal.settings import DAY, STDOUT, RunBy, Settings, SignInMode

UNKNOWN_URL: Final = "https://portal.invalid"
"""Stands for an address that is missing or wrong, so that the other checks can run; never returned."""
CHAINLIT_URL: Final = "CHAINLIT_URL"
SPACE_HOST: Final = "SPACE_HOST"
CALLBACK: Final = "OAUTH_REDIRECT_URI"
_CONTACT: Final = re.compile(r"mailto:[!-~]+@[!-~]+|https://[!-~]+")
_LONGEST_SIGN_IN: Final = 400 * DAY  # browsers keep no cookie longer (RFC 6265bis, 5.5)
_LONGEST_RETENTION: Final = 10 * 365 * DAY


def _security_contact(table: Table, key: str) -> str | None:
    """Return the address for ``security.txt``; RFC 9116, section 2.5.3, requires a URI."""
    contact = table.text(key)
    if contact is not None and not _CONTACT.fullmatch(contact):
        fix = 'Write it as "mailto:security@example.com" or "https://example.com/security".'
        table.problem(key, "is not a mail address, nor the address of a page.", fix)
    return contact


def _audit_log(table: Table, key: str) -> str | None:
    target = table.text(key)
    if target is not None and target != STDOUT and (not Path(target).is_absolute() or "\0" in target):
        table.problem(key, "is not an absolute path.", 'Write "stdout", or a path like "/var/log/portal/audit.jsonl".')
    return target


def _networks(table: Table, key: str) -> tuple[Network, ...] | None:
    texts = table.texts(key)
    networks = []
    for text in texts or ():
        try:
            networks.append(read_network(text))
        except NotANetwork as error:
            table.problem(key, f"lists {text!r}, which {error}.", 'Write addresses or networks, like "10.0.0.0/8".')
    return None if texts is None else tuple(networks)


def _trusted_proxies(table: Table, key: str) -> TrustedProxies | None:
    networks = _networks(table, key)
    return None if networks is None else TrustedProxies(networks)


def _app_uids(table: Table, key: str) -> range | None:
    text = table.text(key)
    try:
        return None if text is None else read_range(text)
    except NotARange as error:
        table.problem(key, f"{error}.", 'Write numbers that nobody here has, like "70000-79999".')
        return None


def _site(table: Table, key: str) -> str | None:
    site = table.text(key)
    if site is None or is_site(site.lower()):
        return None if site is None else site.lower()  # as addresses are read
    table.problem(key, "is not a registrable domain.", 'Write the domain you registered, like "example.com".')
    return None


def _path(table: Table, key: str) -> Path | None:
    text = table.text(key)
    return None if text is None else Path(text)


class PortalSection(Section, name="portal", spec=Settings):
    """``[portal]``."""

    url = Setting(
        url_with("none"),
        '"https://portal.example.com"',
        default_text=REQUIRED,
        variable="PORTAL_URL",
        variable_default=f"the file, else {CHAINLIT_URL}, else the origin of {CALLBACK}, else {SPACE_HOST}",
    )
    """Where browsers reach the portal: scheme, host and port."""
    apps_url = Setting(Table.text, '"https://{app}.apps.example.com"', variable="PORTAL_APPS_URL")
    """Where browsers reach apps that have no url of their own: a template with {app} or {port}."""
    apps_port = Setting(Table.port, "7810")
    """First port for apps that have a source and no port."""
    title = Setting(Table.text, '"Example AI"')
    """The portal's name on its pages."""
    landing = Setting(Table.texts, '["admin-dashboard", "user-dashboard"]')
    """After sign-in, the portal opens the first of these apps that the person may open; else the catalogue."""
    idle_lifetime = Setting(Duration(60, _LONGEST_SIGN_IN), '"8h"')
    """A sign-in ends after this long without use."""
    absolute_lifetime = Setting(Duration(60, _LONGEST_SIGN_IN), '"12h"')
    """A sign-in ends after this long, used or not."""
    lifetime_without_refresh = Setting(Duration(60, _LONGEST_SIGN_IN), '"1h"')
    """A sign-in ends after this long, used or not, where the provider gives nothing to read the claims again with.
    absolute_lifetime is the limit here too."""
    refresh_interval = Setting(Duration(60, DAY), '"5m"')
    """How often the claims of a person who uses the portal are read again, where the provider allows it. Roles
    follow, and a sign-in that the provider does not renew any more ends."""
    audit_retention = Setting(Duration(DAY, _LONGEST_RETENTION), '"400d"')
    """How long events of the audit are kept in the database."""
    audit_log = Setting(_audit_log, '"/var/log/gradio-portal/audit.jsonl"')
    """Where events of the audit are also written, one JSON object per line: stdout, or an absolute path. The portal
    makes the file with mode 0600, and its folder must be there."""
    security_contact = Setting(_security_contact, '"mailto:security@example.com"')
    """Where to report vulnerabilities: a mailto: or https: address for /.well-known/security.txt (RFC 9116).
    Without it that page does not exist."""
    sign_ins_per_minute = Setting(Count(1_000_000), "2000")
    """How often per minute one client address, perhaps a whole office, may open the sign-in page, start a sign-in
    at a provider, and come back from one: each is counted by itself."""
    internal_url = Setting(
        url_with("none"), '"http://127.0.0.1:7800"', default_text="portal.url", variable="PORTAL_INTERNAL_URL"
    )
    """Where supervised apps reach the portal; https outside loopback."""
    data_dir = Setting(
        _path, '"/var/lib/gradio-portal"', variable="PORTAL_DATA_DIR", variable_note=", relative to the working folder"
    )
    """Folder of the embedded stores and the apps' logs, relative to the file. The portal creates it with mode 0700.
    If it is open to others, the portal closes it, unless it holds other things."""
    sign_in = Setting(one_of(get_args(SignInMode)), '"direct"')
    """page: strangers choose on a page how to sign in. direct: strangers go straight to the only provider; the page
    is shown after a sign-out, an error or a step back."""
    site = Setting(_site, '"example.com"')
    """The registrable domain that portal and apps share. Without it, frames of apps on sibling names get
    partitioned cookies, which always work."""
    trust_apps = Setting(Table.flag, "true")
    """Allows apps to share the portal's user or host, or another app's user. Such an app can read the portal's
    database, keys and environment, or the other app's; receive the portal's cookies; and act in its pages. Set it
    only for apps you trust as much as the portal."""
    user = Setting(Table.user, '"gradio-portal"', default_text="the user who starts it")
    """User of this machine that the portal runs as when root starts portal serve. Required if apps have users of
    their own."""
    app_uids = Setting(_app_uids, '"70000-79999"')
    """User numbers that nobody on this machine has. Each app without a user of its own gets one of them, always the
    same; no account is created. portal serve must be started by root."""
    apps_dir = Setting(
        _path, '"/var/lib/gradio-portal-apps"', default_text="beside the data folder, with -apps after its name"
    )
    """Folder for the folders of apps that have a user of their own: HOME, temporary files, uploads. It belongs to
    root."""
    apps_run_by = Setting(one_of(get_args(RunBy)), '"systemd"')
    """Who starts the apps that have a source: portal, or systemd by the units of portal config systemd, each as a
    user of its own. With systemd, portal serve refuses to start them."""
    trusted_proxies = Setting(
        _trusted_proxies,
        '["10.0.0.0/8", "2001:db8::/32"]',
        default_text="[]",
        variable="PORTAL_TRUSTED_PROXIES",
        variable_note=", separated by commas or spaces; also for the guards of apps",
    )
    """Addresses and networks of reverse proxies whose X-Forwarded-For is believed, besides those of this machine."""
    ca_file = Setting(
        _path,
        '"company-ca.pem"',
        variable="PORTAL_CA_FILE",
        variable_note=", relative to the working folder; also for the guards of apps",
    )
    """PEM file with the company's own certificate authorities, trusted besides the others in every call of the
    portal. Relative to the file."""
    metrics_from = Setting(_networks, '["127.0.0.1", "10.1.2.3"]')
    """Addresses and networks that may read /metrics, without a reverse proxy in between; [] for nobody."""


_CHAINLIT_URL: Final = Variable(CHAINLIT_URL, "none", "https://portal.example.com")
"""Chainlit's name for PORTAL_URL; read if neither that nor the file has the address."""
_SPACE_HOST: Final = Variable(SPACE_HOST, "none", "acme-portal.hf.space")
"""The host of the Hugging Face Space that the portal runs in; a Space sets it. The first of several is the
portal's, if nothing else has its address."""
URLS: Final = (_CHAINLIT_URL, _SPACE_HOST)


def read_portal(
    values: Mapping[str, object], *, folder: Path, here: Path, variables: Variables, report: Report
) -> Settings:
    """Return the settings of ``[portal]``, with :data:`UNKNOWN_URL` for an address that is missing or wrong.

    Paths in the file are relative to *folder*, those in variables to *here*.
    """
    table = PortalSection.table(values, at="portal", report=report, variables=variables)
    read = PortalSection.read(table)
    ca_file: Path | None = read.pop("ca_file")
    if ca_file is not None:
        ca_file = read_authorities(table, (here if table.is_variable("ca_file") else folder) / ca_file)
    settings = Settings(**{**read, "url": read["url"] or _url_of_others(table, variables, report) or UNKNOWN_URL})
    _check(settings, table)
    return replace(
        settings,
        data_dir=(here if table.is_variable("data_dir") else folder) / settings.data_dir,
        apps_dir=None if settings.apps_dir is None else folder / settings.apps_dir,
        egress=read_client_settings(variables, ca_file=ca_file),
    )


def _check(settings: Settings, table: Table) -> None:
    if settings.idle_lifetime > settings.absolute_lifetime:
        table.problem("idle_lifetime", "is longer than absolute_lifetime.", "Make it shorter, or the other longer.")
    if settings.app_uids is not None and settings.apps_run_by == "systemd":
        table.problem("app_uids", "has no effect: systemd runs the apps, and gives each a user.", "Leave it out.")
    if (
        settings.site is not None
        and settings.url != UNKNOWN_URL
        and not is_within(host_of(settings.url), settings.site)
    ):
        what = "does not contain the portal's own host."
        table.problem("site", what, "Write the domain that portal and apps share.")


def _url_of_others(table: Table, variables: Variables, report: Report) -> str | None:
    """Return the portal's address from variables of other programs; note if there is none, or what is wrong with it."""
    if table.has("url"):
        return None
    chainlit, callback, hosts = (variables.get(name) for name in (CHAINLIT_URL, CALLBACK, SPACE_HOST))
    if chainlit is not None:
        problem = problem_of(chainlit, path="none")
        if problem is not None:
            report.environment(CHAINLIT_URL, *problem)
        return normalised(chainlit) if problem is None else None
    problem = None if callback is None else problem_of(callback, path="plain")
    if callback is not None and problem is None:
        return origin_of(callback)
    if hosts is not None:
        return _url_of_space(hosts, report)
    _note_missing(table, problem, report)
    return None


def callback_has_url(variables: Variables, *, in_file: bool) -> bool:
    """Return whether only OAUTH_REDIRECT_URI has the portal's address; *in_file*: whether the file has it."""
    return not in_file and variables.get("PORTAL_URL") is None and variables.get(CHAINLIT_URL) is None


def _note_missing(table: Table, problem_of_callback: AddressProblem | None, report: Report) -> None:
    if problem_of_callback is None:
        table.problem("url", "is missing.", "Write where browsers reach the portal, here or as PORTAL_URL.")
    else:
        what = f"is the only setting that has the portal's address, but {problem_of_callback.what}"
        fix = f"{problem_of_callback.fix} Or set PORTAL_URL to where browsers reach the portal."
        report.environment(CALLBACK, what, fix)


def _url_of_space(hosts: str, report: Report) -> str | None:
    """Return the address of the Hugging Face Space at the first of *hosts*.

    With a domain of its own a Space has several hosts, separated by commas; the first is the one Hugging Face gave.
    """
    host = hosts.partition(",")[0].strip()
    url = f"https://{host}"
    if "/" in host or problem_of(url, path="none") is not None:
        fix = "Leave it as the Space sets it, or set PORTAL_URL."
        report.environment(SPACE_HOST, "does not begin with a host.", fix)
        return None
    return normalised(url)


def source_of_url(variables: Variables, report: Report, *, in_file: bool) -> tuple[str, str]:
    """Return the place of the portal's address, the file or the environment, and its name there."""
    if variables.get("PORTAL_URL") is not None:
        return ENVIRONMENT, "PORTAL_URL"
    if variables.get(CHAINLIT_URL) is not None and not in_file:
        return ENVIRONMENT, CHAINLIT_URL
    if variables.get(SPACE_HOST) is not None and variables.get(CALLBACK) is None and not in_file:
        return ENVIRONMENT, SPACE_HOST
    return report.place, "portal.url"

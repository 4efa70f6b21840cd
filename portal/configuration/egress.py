"""The way out of this machine: proxy, exceptions and authorities, and whether they can be used."""

from collections.abc import Iterator
from pathlib import Path

from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Table
from portal.contract import is_loopback_url
from portal.contract.egress import Egress, NotABundle, NotAProxy, count_authorities, read_egress
from portal.settings import Settings
from portal.sign_in.provider_types.called_hosts import called_urls


def read_ca_file(table: Table, *, folder: Path, here: Path, variables: Variables, report: Report) -> Path | None:
    """Return where the company's own authorities are; a path begins at *folder*, in a variable at *here*."""
    of_environment, of_file = variables.get("PORTAL_CA_FILE"), table.text("ca_file")
    text = of_environment or of_file
    if text is None:
        return None
    file = (folder if of_environment is None else here) / text
    try:
        if count_authorities(file) is not None:
            return file
        what = "names a folder."
    except NotABundle as error:
        what = f"names a file that {error}."
    fix = "Name a file of PEM with the certificates of your own authorities."
    if of_environment is None:
        table.problem("ca_file", what, fix)
    else:
        report.environment("PORTAL_CA_FILE", what, fix)
    return None


def read_way_out(variables: Variables, *, ca_file: Path | None) -> Egress:
    """Return the way out; what is wrong with it is noted by :func:`check_way_out`, where it is needed."""
    return read_egress({name: variables.get(name) or "" for name in variables.names()}, authorities=ca_file)


def check_way_out(settings: Settings, *, report: Report) -> None:
    """Note a proxy or a bundle that cannot be used, if there is anything to be called with them."""
    egress, targets = settings.egress, list(targets_of(settings))
    try:
        for url in targets:
            egress.proxy_for(url)
    except NotAProxy as error:
        fix = "Write it as http://proxy.example.com:3128, or name in NO_PROXY what is called directly."
        report.environment(egress.proxy_name, f"{error}.", fix)
    if targets and egress.bundle is not None:
        try:
            count_authorities(egress.bundle)
        except NotABundle as error:
            report.environment(egress.bundle_name, f"names what {error}.", "Fix the path, or leave it out.")


def targets_of(settings: Settings) -> Iterator[str]:
    """Yield the addresses beyond this machine that the portal calls, as far as the configuration tells."""
    for spec in settings.providers:
        yield from (url for url in called_urls(spec) if not is_loopback_url(url))
    for app in settings.catalogue:
        url = app.internal_url or app.url
        if not is_loopback_url(url):
            yield url

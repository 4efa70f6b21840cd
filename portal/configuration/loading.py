"""From ``portal.toml`` and the environment to one frozen ``Settings``, or every problem at once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from portal.configuration.all_settings import CONFIG, NAMES
from portal.configuration.app_tables import AppReader
from portal.configuration.consistency import (
    check_addresses,
    check_callbacks,
    check_catalogue,
    check_providers,
    check_reach,
    check_roles,
    check_spaces,
    check_template,
    check_users,
    check_ways_in,
)
from portal.configuration.egress import check_client_settings
from portal.configuration.environment import Variables, check_misspelt
from portal.configuration.hook_name import read_hook_name
from portal.configuration.placeholders import check_placeholders
from portal.configuration.portal_table import CALLBACK, UNKNOWN_URL, callback_has_url, read_portal, source_of_url
from portal.configuration.prompts import check_prompts
from portal.configuration.provider_tables import read_providers
from portal.configuration.provider_type_variables import (
    check_misspelt_for_types,
    read_providers_by_type,
    types_mentioned,
    variables_of_types,
)
from portal.configuration.provider_variables import ADMIN_ROLE, TUTORIAL, read_provider_of_environment
from portal.configuration.report import Report
from portal.configuration.roles import read_roles
from portal.configuration.secret_values import read_database_url, read_rate_limit_storage, read_secret_keys
from portal.configuration.toml_document import ids_of, read_document, sections, variables_named_by
from portal.errors import ENVIRONMENT, SettingsError
from portal.rules.catalogue import Catalogue
from portal.settings import SIGN_IN_HOOK, Settings

FILE_NAME: Final = "portal.toml"


def chosen_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return *path*, else the file that ``PORTAL_CONFIG`` names; ``None``: :data:`FILE_NAME`, which may be absent."""
    text = environ.get(CONFIG.name, "").strip()
    return path or (Path(text) if text else None)


def load(environ: Mapping[str, str], *, path: Path | None = None, may_lack_python: bool = False) -> Settings:
    """Read settings from *environ* and the file at *path*.

    Without *path*: the file that ``PORTAL_CONFIG`` names, else ``portal.toml`` in the working folder,
    which may be absent.  With *may_lack_python*, interpreters of apps may be absent too: a command will create one.

    Raises:
        SettingsError: names every problem at once.
    """
    here = Path.cwd()
    chosen = chosen_file(path, environ)
    file = here / (chosen or FILE_NAME)
    report = Report(str(chosen or FILE_NAME))
    variables = Variables(environ, report)
    document = read_document(file, must_exist=chosen is not None, report=report)
    secret_keys = read_secret_keys(variables, report)
    if document is None:  # anything else is missing because of that
        raise SettingsError(report.problems)
    tables = sections(document, report=report)
    portal = read_portal(tables["portal"], folder=file.parent, here=here, variables=variables, report=report)
    listed = read_providers(document.get("providers", []), variables=variables, report=report)
    named = variables_named_by(document)
    used = {*named, CALLBACK} if callback_has_url(variables, in_file="url" in tables["portal"]) else named
    of_environment = read_provider_of_environment(variables, used_by_file=used, report=report)
    of_types = read_providers_by_type(variables, used_by_file=named, report=report)
    providers = (*listed, *of_types, *(() if of_environment is None else (of_environment,)))
    sign_in_hook = read_hook_name(variables, report)
    roles = read_roles(tables["roles"], has_hook=variables.get(SIGN_IN_HOOK) is not None, report=report)
    if of_environment is not None and variables.get(TUTORIAL) is not None:
        roles = roles.with_admin_by(variables.get(ADMIN_ROLE.name) or ADMIN_ROLE.default, provider=of_environment.id)
    reader = AppReader(
        portal=portal,
        roles=roles.names,
        withheld=named,
        folder=file.parent,
        variables=variables,
        report=report,
        may_lack_python=may_lack_python,
    )
    settings = replace(
        portal,
        secret_keys=secret_keys,
        database_url=read_database_url(variables, data_dir=portal.data_dir, report=report),
        providers=providers,
        roles=roles.rules,
        rights_of_roles=roles.rights,
        catalogue=Catalogue(reader.read(tables["apps"])),
        sign_in_hook=sign_in_hook,
        rate_limit_storage=read_rate_limit_storage(variables, report),
    )
    name = "PORTAL_APPS_URL"
    source = (ENVIRONMENT, name) if variables.get(name) is not None else (report.place, "portal.apps_url")
    check_template(portal.apps_url, source=source, report=report)
    check_providers(settings, report=report)
    check_ways_in(settings, report=report)
    known = [*ids_of(document), *(spec.id for spec in providers)]
    check_prompts(variables, provider_ids=[*known, *types_mentioned(variables)], report=report)
    check_roles(settings, providers=known, report=report)
    check_catalogue(settings, slugs=tables["apps"].keys(), report=report)
    check_users(settings, report=report)
    if portal.url != UNKNOWN_URL:
        source = source_of_url(variables, report, in_file="url" in tables["portal"])
        check_reach(settings, portal_place=source, report=report)
        check_callbacks(settings, of_environment=of_environment, report=report)
        check_addresses(settings, report=report)
        check_spaces(settings, report=report)
    check_client_settings(settings, report=report)
    check_misspelt(variables, known=NAMES, report=report)
    of_apps = {name for app in settings.catalogue for name in app.secrets}
    check_misspelt_for_types(variables, used={*named, *of_apps}, report=report)
    read = {*NAMES, *variables_of_types(), *named, *of_apps}
    check_placeholders(variables, document, names=read, report=report)
    report.stop_if_any()
    return settings

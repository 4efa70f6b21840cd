"""Every setting there is, in the order of the documents."""

from collections.abc import Iterator
from typing import Final

from portal.configuration.app_tables import APP
from portal.configuration.declaration import REQUIRED, Section, Variable, row
from portal.configuration.egress import BUNDLES, PROXIES
from portal.configuration.hook_name import HOOK
from portal.configuration.portal_table import PORTAL, URLS
from portal.configuration.prompts import PROMPT
from portal.configuration.provider_tables import ENDPOINTS, PROVIDER
from portal.configuration.provider_variables import SHARED
from portal.configuration.roles import ROLE
from portal.configuration.secret_values import SECRETS, SESSION_SECRET_KEY
from portal.sign_in.provider_types.base import ProviderType

CONFIG: Final = Variable(
    "PORTAL_CONFIG",
    "The configuration file.",
    "portal.toml in the working folder",
    "/etc/gradio-portal/portal.toml",
)
SECTIONS: Final[tuple[Section, ...]] = (PORTAL, PROVIDER, ENDPOINTS, ROLE, APP)
VARIABLES: Final[tuple[Variable, ...]] = (
    CONFIG,
    *PORTAL.variables(),
    *SECRETS,
    HOOK,
    *PROXIES,
    *BUNDLES,
    *URLS,
    PROMPT,
    *SHARED,
    SESSION_SECRET_KEY,
)
NAMES: Final = frozenset(one.name for one in VARIABLES)
"""Names of the environment variables the portal reads, besides those of one provider type alone."""


def rows_of(provider_type: ProviderType) -> Iterator[str]:
    """Yield the rows of the page of *provider_type* in ``docs/providers/`` about its settings."""
    own = provider_type.variables is not None
    client_id = provider_type.client_id_variable if own else None
    secret = provider_type.client_secret_variable if own else None
    yield _row("client_id", client_id, "The portal's client id there.", REQUIRED, "portal")
    yield _row(
        "client_secret_env",
        secret,
        "The client secret; in the file, the name of the variable that holds it.",
        REQUIRED,
        "COMPANY_CLIENT_SECRET",
    )
    for one in provider_type.options:
        yield _row(one.key, one.variable, one.meaning, one.default, one.example)
    if provider_type.name_variable is not None:
        about_name = "Its name on its button, in addresses and in its callback."
        yield _row("id", provider_type.name_variable, about_name, provider_type.id, "company")
    scopes = " ".join(provider_type.scopes)
    default = REQUIRED if provider_type.scopes_required else scopes or "none"
    yield _row("scopes", provider_type.scopes_variable, "Scopes to ask for.", default, scopes or "profile email")


def _row(key: str, variable: str | None, meaning: str, left_out: str, example: str) -> str:
    return row(key, "" if variable is None else f"`{variable}`", meaning, left_out, example)

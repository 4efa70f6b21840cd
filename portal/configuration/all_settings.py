"""Every setting there is, in the order of the documents."""

from typing import Final

from portal.configuration.app_tables import AppSection
from portal.configuration.declaration import Section, Variable
from portal.configuration.egress import BUNDLES, PROXIES
from portal.configuration.hook_name import HOOK
from portal.configuration.portal_table import URLS, PortalSection
from portal.configuration.prompts import PROMPT
from portal.configuration.provider_tables import EndpointsSection, ProviderSection
from portal.configuration.provider_variables import SHARED
from portal.configuration.roles import RoleSection
from portal.configuration.secret_values import SECRETS, SESSION_SECRET_KEY

CONFIG: Final = Variable("PORTAL_CONFIG", "portal.toml in the working folder", "/etc/gradio-portal/portal.toml")
"""The configuration file."""
SECTIONS: Final[tuple[type[Section], ...]] = (PortalSection, ProviderSection, EndpointsSection, RoleSection, AppSection)
VARIABLES: Final[tuple[Variable, ...]] = (
    CONFIG,
    *PortalSection.variables(),
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

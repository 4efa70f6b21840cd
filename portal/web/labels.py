"""What tenants and providers are called on pages."""

from portal.rules.identity import Identity
from portal.rules.policy import Standing
from portal.web.services import services


def tenant_label(standing: Standing) -> str | None:
    """Return the name of the tenant, its id where it has none, or ``None`` where there are no tenants."""
    return standing.tenant_name or standing.tenant or None


def tenant_name_of(identity: Identity, tenant: str) -> str | None:
    """Return what *tenant* is called for *identity*: its name, else its id; ``None`` for no tenant."""
    affiliation = identity.affiliation(tenant)
    name = None if affiliation is None else affiliation.tenant_name
    return name or tenant or None


def provider_label(provider_id: str) -> str:
    """Return what the provider's button says; the id of one that is no longer configured."""
    spec = services().settings.provider(provider_id)
    return provider_id if spec is None else spec.label

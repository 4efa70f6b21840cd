"""Names of tenants and providers on pages."""

from portal.rules.identity import Identity
from portal.rules.policy import Standing
from portal.web.services import services


def tenant_label(standing: Standing) -> str | None:
    """Return the name of the tenant, else its id; ``None`` without tenants."""
    return standing.tenant_name or standing.tenant or None


def tenant_name_of(identity: Identity, tenant: str) -> str | None:
    """Return the name of *tenant* in *identity*, else its id; ``None`` without a tenant."""
    affiliation = identity.affiliation(tenant)
    name = None if affiliation is None else affiliation.tenant_name
    return name or tenant or None


def provider_label(provider_id: str) -> str:
    """Return the provider's label; its id if it is no longer configured."""
    spec = services().settings.provider(provider_id)
    return provider_id if spec is None else spec.label

"""The sections ``[[providers]]``."""

import re
from collections.abc import Mapping
from typing import Final

from portal.configuration.addresses import fault_of
from portal.configuration.documented import keys_under
from portal.configuration.environment import VARIABLE, Variables, shown
from portal.configuration.report import Report, choices
from portal.configuration.tables import Table
from portal.settings import Endpoints, ProviderSpec, Secret

SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "oidc": ("openid", "profile", "email"),
    "descope": ("openid", "profile", "email", "descope.claims"),
}
"""What is asked for by kind, where nothing is said; its keys are the kinds there are."""
AUTH_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post", "none"})
PROMPTS: Final = frozenset({"login", "consent", "select_account"})
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")  # scope-token of RFC 6749, 3.3


def read_providers(values: object, *, variables: Variables, report: Report) -> tuple[ProviderSpec, ...]:
    """Read all of ``[[providers]]``; those with problems are left out."""
    if type(values) is not list or not all(type(one) is dict for one in values):
        report.file("providers", "must be a list of tables.", "Write each provider as a section [[providers]].")
        return ()
    specs: list[ProviderSpec] = []
    for index, one in enumerate(values):
        provider_id = one.get("id")
        at = f"providers.{provider_id}" if is_slug(provider_id) else f"providers[{index}]"
        table = Table(one, at=at, known=keys_under("providers"), report=report)
        spec = _spec(table, variables=variables, report=report)
        if spec is not None:
            specs.append(spec)
    return tuple(specs)


def is_slug(value: object) -> bool:
    """Say whether *value* may be the name of a provider or app in addresses."""
    return type(value) is str and SLUG.fullmatch(value) is not None


def _spec(table: Table, *, variables: Variables, report: Report) -> ProviderSpec | None:
    provider_id = table.text("id")
    if provider_id is None and not table.has("id"):
        table.problem("id", "is missing.", "Give the provider a name for addresses.")
    elif provider_id is not None and not is_slug(provider_id):
        table.problem("id", "is no name for addresses.", "Use lower-case letters, digits and hyphens.")
        provider_id = None
    kind = table.text("kind", "oidc") or "oidc"
    if kind not in SCOPES:
        table.problem("kind", f"names {kind!r}, which is none.", choices(kind, SCOPES))
        kind = "oidc"
    client_id = _client_id(table, variables)
    issuer = table.text("issuer")
    if issuer is None and kind == "descope" and client_id is not None:
        issuer = f"https://api.descope.com/{client_id}"
    _check_address(table, "issuer", issuer, required=True)
    method = table.text("token_endpoint_auth_method")
    if method is not None and method not in AUTH_METHODS:
        table.problem("token_endpoint_auth_method", f"names {method!r}, which is none.", choices(method, AUTH_METHODS))
    secret = _client_secret(table, variables, public=method == "none")
    scopes = _scopes(table) or SCOPES[kind]
    prompt = table.text("prompt")
    if prompt is not None and not set(prompt.split()) <= PROMPTS:
        table.problem("prompt", f"names {prompt!r}, which the portal cannot ask for.", choices(prompt, PROMPTS))
    endpoints = _endpoints(table, report)
    redirect_uri = table.text("redirect_uri")
    if provider_id is None or client_id is None or issuer is None:
        return None
    return ProviderSpec(
        id=provider_id,
        label=table.text("label") or provider_id.replace("-", " ").capitalize(),
        kind=kind,
        issuer=issuer,
        client_id=client_id,
        client_secret=secret,
        scopes=scopes,
        endpoints=endpoints,
        redirect_uri=redirect_uri,
        token_endpoint_auth_method=method,
        authorize_params=() if prompt is None else (("prompt", prompt),),
    )


def _client_id(table: Table, variables: Variables) -> str | None:
    written, name = table.text("client_id"), table.text("client_id_env")
    if written is not None and name is not None:
        table.problem("client_id", "stands beside client_id_env.", "Write one of the two.")
    if written is not None:
        return written
    if name is None:
        table.problem("client_id", "is missing.", "Write the client id the provider gave, or client_id_env.")
        return None
    value = variables.get(name)
    if value is None:
        table.problem("client_id_env", f"names {shown(name)}, which is not set.", "Set it in the environment or .env.")
    return value


def _client_secret(table: Table, variables: Variables, *, public: bool) -> Secret | None:
    name = table.text("client_secret_env")
    if name is None:
        if not public and not table.has("client_secret_env"):
            table.problem(
                "client_secret_env",
                "is missing.",
                'Name the variable that holds the secret; for a public client, token_endpoint_auth_method = "none".',
            )
        return None
    if public:
        table.problem("client_secret_env", "is given for a public client.", "Leave out one of the two.")
    if not VARIABLE.fullmatch(name):
        table.problem("client_secret_env", "is no name of a variable.", "Write the name here, the secret there.")
        return None
    if not variables.mentions(name):
        table.problem(
            "client_secret_env", f"names {shown(name)}, which is not set.", "Set it in the environment or .env."
        )
    value = variables.secret(name)
    return None if value is None else Secret(value)


def _scopes(table: Table) -> tuple[str, ...] | None:
    scopes = table.texts("scopes")
    fault = None if scopes is None else fault_of_scopes(scopes)
    if fault is not None:
        table.problem("scopes", *fault)
    return scopes


def fault_of_scopes(scopes: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what is wrong with *scopes*, or ``None``."""
    if not all(map(_SCOPE.fullmatch, scopes)):
        return "holds what is no scope.", "Write one scope per text, without spaces or quotes."
    if "openid" not in scopes:
        return "does not hold openid, and without it there is no ID token.", "Add openid."
    return None


def _endpoints(table: Table, report: Report) -> Endpoints | None:
    values = table.mapping("endpoints")
    if values is None:
        return None
    inner = Table(values, at=table.key("endpoints"), known=keys_under("providers.endpoints"), report=report)
    found = {key: inner.text(key) for key in ("authorize", "token", "jwks", "userinfo", "end_session")}
    for key, url in found.items():
        _check_address(inner, key, url, required=key in {"authorize", "token", "jwks"})
    return Endpoints(
        authorize=found["authorize"] or "",
        token=found["token"] or "",
        jwks=found["jwks"] or "",
        userinfo=found["userinfo"],
        end_session=found["end_session"],
    )


def _check_address(table: Table, key: str, url: str | None, *, required: bool) -> None:
    if url is None:
        if required and not table.has(key):
            table.problem(key, "is missing.", "Write the address the provider gives for it.")
        return
    fault = fault_of(url, path="any", query=key != "issuer")
    if fault is not None:
        table.problem(key, *fault)

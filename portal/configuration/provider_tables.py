"""The sections ``[[providers]]``."""

import re
from collections.abc import Mapping
from typing import Final

from portal.configuration.addresses import problem_of
from portal.configuration.documented import keys_under
from portal.configuration.environment import VARIABLE, Variables, shown
from portal.configuration.prompts import prompt_params
from portal.configuration.provider_admission import read_admission, read_domains, within_tenants
from portal.configuration.provider_type_options import locate
from portal.configuration.report import Report
from portal.configuration.tables import Table
from portal.contract.slugs import RULE, is_slug
from portal.errors import choices
from portal.settings import (
    PUBLIC_KEY_ALGORITHMS,
    SHARED_SECRET_ALGORITHMS,
    Endpoints,
    ProviderSpec,
    Secret,
    algorithm_named,
)
from portal.sign_in.provider_types import PROVIDER_TYPES, provider_type_at
from portal.sign_in.provider_types.base import PROMPTS, Flow, Option, ProviderLocation, ProviderType, is_document

ASSUME: Final = "assume"
AUTH_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post", "none"})
TYPE_KEYS: Final = ("type", "preset", "kind")
"""The key that names the provider type, and its earlier names."""
DEFAULT: Final = "oidc"
"""The provider type of a provider that names none."""
SCOPES: Final = "OAUTH_SCOPES"
"""What is asked for with the client that ``OAUTH_CLIENT_ID`` and ``OAUTH_CLIENT_SECRET`` are."""
_ASKED: Final = PROMPTS - {"none"}
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")  # scope-token of RFC 6749, 3.3
_OF_SOME: Final = frozenset({"issuer", "endpoints"})
"""Keys that stand in the table of every provider only where its provider type takes them."""


def read_providers(values: object, *, variables: Variables, report: Report) -> tuple[ProviderSpec, ...]:
    """Read all of ``[[providers]]``; those with problems are left out."""
    if type(values) is not list or not all(type(one) is dict for one in values):
        report.file("providers", "must be a list of tables.", "Write each provider as a section [[providers]].")
        return ()
    specs: list[ProviderSpec] = []
    for index, one in enumerate(values):
        provider_id = one.get("id")
        at = f"providers.{provider_id}" if is_slug(provider_id) else f"providers[{index}]"
        provider_type = _type_named(one)
        table = Table(one, at=at, known=_known(provider_type), report=report)
        spec = _spec(table, provider_type, variables=variables, report=report)
        if spec is not None:
            specs.append(spec)
    return tuple(specs)


def _type_named(values: Mapping[str, object]) -> ProviderType | None:
    name = next((values[key] for key in TYPE_KEYS if key in values), DEFAULT)
    return PROVIDER_TYPES.get(name) if isinstance(name, str) else None


def _known(provider_type: ProviderType | None) -> frozenset[str]:
    """Return the keys that may stand in a provider's table; every one there is, where it is not clear of what make."""
    makes = PROVIDER_TYPES.values() if provider_type is None else (provider_type,)
    keys = keys_under("providers") - (_OF_SOME if provider_type is not None else frozenset())
    options = {option.key for make in makes for option in make.options}
    return keys | options | ({"endpoints"} if any(make.takes_endpoints for make in makes) else set())


class _TableOptions:
    """The options of a provider type, as one table says them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def said(self, option: Option) -> str | None:
        return self._table.text(option.key)

    def missing(self, option: Option) -> None:
        if not self._table.has(option.key):
            self.problem(option.key, "is missing.", f'Write it, like {option.key} = "{option.example}".')

    def problem(self, key: str, what: str, fix: str) -> None:
        self._table.problem(key, what, fix)


def _spec(table: Table, named: ProviderType | None, *, variables: Variables, report: Report) -> ProviderSpec | None:
    provider_type = named or PROVIDER_TYPES[DEFAULT]
    provider_id = table.text("id")
    if provider_id is None and not table.has("id"):
        table.problem("id", "is missing.", "Give the provider a name for addresses.")
    elif provider_id is not None and not is_slug(provider_id):
        table.problem("id", "cannot stand in addresses.", f"Use {RULE}.")
        provider_id = None
    _check_type(table)
    client_id = _client_id(table, variables)
    located = None if named is None else locate(provider_type, _TableOptions(table), client_id=client_id)
    if located is not None:
        _check_issuer(table, provider_type, located.place)
    method = table.text("token_endpoint_auth_method")
    if method is not None and method not in AUTH_METHODS:
        table.problem("token_endpoint_auth_method", f"names {method!r}, which is none.", choices(method, AUTH_METHODS))
    secret = _client_secret(table, variables, public=method == "none")
    scopes = _scopes(table, provider_type, variables=variables, report=report)
    prompt = table.text("prompt")
    if prompt is not None and not set(prompt.split()) <= _ASKED:
        table.problem("prompt", f"names {prompt!r}, which the portal cannot ask for.", choices(prompt, _ASKED))
    endpoints = _endpoints(table, report) if provider_type.takes_endpoints else None
    if endpoints is not None and located is not None and located.place.discovery is not None:
        key = "issuer" if located.place.issuer_of_document else "discovery"
        table.problem(key, "names metadata, beside endpoints.", "Write the issuer alone, or leave endpoints out.")
    redirect_uri = table.text("redirect_uri")
    algorithms = _algorithms(table, secret)
    admission = read_admission(table, named, options=None if located is None else located.options)
    assumes_email = _assumes_email(table, named)
    domains = read_domains(table, "domains")
    hidden, label = _hidden(table, domains), table.text("label")
    if provider_id is None or client_id is None or located is None:
        return None
    place = located.place
    return ProviderSpec(
        id=provider_id,
        label=label
        or (provider_type.label if provider_id == provider_type.id else provider_id.replace("-", " ").capitalize()),
        provider_type=provider_type.id,
        issuer=place.issuer,
        issuer_of_document=place.issuer_of_document,
        issuer_of_token=place.issuer_of_token,
        client_id=client_id,
        client_secret=secret,
        scopes=scopes or (*provider_type.scopes, *place.scopes),
        discovery=place.discovery,
        endpoints=endpoints or place.endpoints,
        redirect_uri=redirect_uri,
        token_endpoint_auth_method=method or provider_type.token_endpoint_auth_method,
        algorithms=algorithms,
        authorize_params=(
            *provider_type.authorize_params,
            *place.authorize_params,
            *prompt_params(provider_id, provider_type, written=prompt, variables=variables),
        ),
        options=located.options,
        admission=within_tenants(admission, place, table),
        assumes_email=assumes_email,
        domains=domains,
        hidden=hidden,
    )


def _check_type(table: Table) -> None:
    key, *others = [key for key in TYPE_KEYS if table.has(key)] or [TYPE_KEYS[0]]
    name = table.text(key)
    for other in others:
        table.problem(other, f"is an earlier name of {key}, which is there too.", "Leave it out.")
    if name is not None and name not in PROVIDER_TYPES:
        table.problem(key, f"names {name!r}, which is none.", choices(name, PROVIDER_TYPES))


def _check_issuer(table: Table, provider_type: ProviderType, place: ProviderLocation) -> None:
    """Note an issuer whose claims another provider type must read: it knows what they vouch for."""
    owner = provider_type_at(place.issuer)
    if owner is not None and owner is not provider_type:
        table.problem(
            "issuer",
            f"is that of {owner.label}, whose claims need a reading of their own.",
            f'Write type = "{owner.id}", and leave issuer out.',
        )
    elif is_document(place.issuer):
        table.problem("issuer", "is the address of metadata.", "Write the issuer that the metadata names.")


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


def _algorithms(table: Table, secret: Secret | None) -> tuple[str, ...]:
    written = table.texts("algorithms")
    algorithms = None if written is None else tuple(dict.fromkeys(map(algorithm_named, written)))
    if not algorithms:
        if algorithms is not None and table.has("algorithms"):
            table.problem("algorithms", "names none.", "Leave it out, or name what the provider signs with.")
        return PUBLIC_KEY_ALGORITHMS
    shared = [one for one in algorithms if one in SHARED_SECRET_ALGORITHMS]
    unknown = [one for one in algorithms if one not in {*PUBLIC_KEY_ALGORITHMS, *SHARED_SECRET_ALGORITHMS}]
    if unknown:
        known = {*PUBLIC_KEY_ALGORITHMS, *SHARED_SECRET_ALGORITHMS}
        table.problem("algorithms", f"names {unknown[0]!r}, which is none.", choices(unknown[0], known))
    elif shared and len(shared) < len(algorithms):
        # Else a public key could be taken for the secret, and anybody could sign.
        table.problem("algorithms", "mixes shared secrets with public keys.", "Name those of one kind only.")
    elif shared and (secret is None or len(secret.reveal().encode()) < max(int(one[2:]) // 8 for one in shared)):
        table.problem(
            "algorithms",
            "needs a client secret at least as long as what it computes (RFC 7518, section 3.2).",
            "Have the provider sign with RS256 or ES256, or make a longer secret there.",
        )
    else:
        return algorithms
    return PUBLIC_KEY_ALGORITHMS


def _scopes(
    table: Table, provider_type: ProviderType, *, variables: Variables, report: Report
) -> tuple[str, ...] | None:
    scopes = table.texts("scopes")
    takes_up = table.says("client_id_env", "OAUTH_CLIENT_ID") or table.says("client_secret_env", "OAUTH_CLIENT_SECRET")
    # Beside the client of a Space stand the scopes it may ask for.
    beside = variables.get(SCOPES) if takes_up and not table.has("scopes") else None
    if beside is not None:
        scopes = tuple(dict.fromkeys(re.split(r"[,\s]+", beside)))
    fault = (
        None if scopes is None else fault_of_scopes((*provider_type.always_scopes, *scopes), flow=provider_type.flow)
    )
    if fault is not None and beside is not None:
        report.environment(SCOPES, *fault)
    elif fault is not None:
        table.problem("scopes", *fault)
    return scopes


def fault_of_scopes(scopes: tuple[str, ...], *, flow: Flow) -> tuple[str, str] | None:
    """Return what is wrong with *scopes*, or ``None``."""
    if not all(map(_SCOPE.fullmatch, scopes)):
        return "holds what is no scope.", "Write one scope per text, without spaces or quotes."
    if flow == "openid" and "openid" not in scopes:
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
        jwks=found["jwks"],
        userinfo=found["userinfo"],
        end_session=found["end_session"],
    )


def _check_address(table: Table, key: str, url: str | None, *, required: bool) -> None:
    if url is None:
        if required and not table.has(key):
            table.problem(key, "is missing.", "Write the address the provider gives for it.")
        return
    fault = problem_of(url, path="any", query=True)
    if fault is not None:
        table.problem(key, *fault)


def _assumes_email(table: Table, provider_type: ProviderType | None) -> bool:
    written = table.text("email_verified")
    if written is None:
        return False
    if written != ASSUME:
        table.problem("email_verified", f"must be {ASSUME!r}.", f'Write email_verified = "{ASSUME}", or leave it out.')
    elif provider_type is not None and not provider_type.may_assume_email:
        table.problem(
            "email_verified",
            f"cannot be assumed: {provider_type.label} says of every address whether it can be trusted.",
            "Leave it out.",
        )
    return written == ASSUME


def _hidden(table: Table, domains: frozenset[str]) -> bool:
    hidden = table.flag("hidden")
    if hidden and not domains:
        table.problem(
            "hidden", "leaves no way there: domains is empty.", "Write the domains of its people's addresses."
        )
    return hidden

"""The sections ``[[providers]]``."""

import re
from collections.abc import Mapping
from typing import Any, Final

from portal.configuration.addresses import problem_of
from portal.configuration.declaration import REQUIRED, Section, Setting
from portal.configuration.environment import VARIABLE, Variables, printable
from portal.configuration.prompts import prompt_params
from portal.configuration.provider_admission import (
    admission_of,
    read_allowed_domains,
    read_compared_names,
    read_domains,
    read_names,
    within_tenants,
)
from portal.configuration.provider_type_options import locate
from portal.configuration.report import Report
from portal.configuration.tables import Table, one_of
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
_PROMPTS: Final = PROMPTS - {"none"}
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")  # scope-token of RFC 6749, 3.3
_SET: Final = "Set it in the environment or .env."


def _id(table: Table, key: str) -> str | None:
    provider_id = table.text(key)
    if not table.has(key):
        table.problem(key, "is missing.", "Give the provider a name for addresses.")
    elif provider_id is not None and not is_slug(provider_id):
        table.problem(key, "cannot be part of an address.", f"Use {RULE}.")
        return None
    return provider_id


def _type(table: Table, key: str) -> str | None:
    used, *others = [one for one in TYPE_KEYS if table.has(one)] or [key]
    for other in others:
        table.problem(other, f"is an earlier name of {used}, which is there too.", "Leave it out.")
    return one_of(PROVIDER_TYPES)(table, used)


def _prompt(table: Table, key: str) -> str | None:
    prompt = table.text(key)
    if prompt is not None and not set(prompt.split()) <= _PROMPTS:
        table.problem(key, f"must not be {prompt!r}.", choices(prompt, _PROMPTS))
    return prompt


def _algorithms(table: Table, key: str) -> tuple[str, ...] | None:
    texts = table.texts(key)
    algorithms = tuple(dict.fromkeys(map(algorithm_named, texts or ())))
    known = {*PUBLIC_KEY_ALGORITHMS, *SHARED_SECRET_ALGORITHMS}
    unknown = next((one for one in algorithms if one not in known), None)
    if unknown is not None:
        table.problem(key, f"must not list {unknown!r}.", choices(unknown, known))
    elif len({one in SHARED_SECRET_ALGORITHMS for one in algorithms}) > 1:
        # Else a public key could be taken for the secret, and anybody could sign.
        table.problem(key, "mixes shared secrets with public keys.", "List algorithms of one kind only.")
    elif texts is not None and not algorithms:
        table.problem(key, "is empty.", "Leave it out, or list what the provider signs with.")
    else:
        return algorithms or None
    return None


def _endpoint(table: Table, key: str) -> str | None:
    url = table.text(key)
    problem = None if url is None else problem_of(url, path="any", query=True)
    if problem is not None:
        table.problem(key, *problem)
    return url


def _required_endpoint(table: Table, key: str) -> str:
    if not table.has(key):
        table.problem(key, "is missing.", "Write the address the provider gives for it.")
    return _endpoint(table, key) or ""


class ProviderSection(Section, name="providers", spec=ProviderSpec):
    """``[[providers]]``."""

    id = Setting(_id, '"company"', default_text=REQUIRED)
    """Its name in addresses: the callback is /auth/oauth/<id>/callback."""
    label = Setting(Table.text, '"Example Company"', default_text="the id")
    """Text on its button, after "Continue with"."""
    type = Setting(_type, '"oidc"', default_text=f'"{DEFAULT}"', older_keys=TYPE_KEYS[1:])
    """The provider type: how it signs people in and how its claims are read. Each has a page in providers/."""
    issuer = Setting(
        Table.value,
        '"https://id.example.com"',
        default_text="required; for descope, https://api.descope.com/<client_id>",
    )
    """The issuer exactly as the provider writes it in iss, with its trailing slash if it has one. Or the address of
    the discovery document: then the issuer in it counts, if it is at the same host. Types with a known issuer have
    other settings instead: see their pages."""
    client_id = Setting(Table.text, '"portal"', default_text="required, or client_id_env")
    """The portal's client id there."""
    client_id_env = Setting(Table.text, '"COMPANY_CLIENT_ID"')
    """Environment variable that holds the client id."""
    client_secret_env = Setting(
        Table.text, '"COMPANY_CLIENT_SECRET"', default_text='required, unless token_endpoint_auth_method is "none"'
    )
    """Environment variable that holds the client secret."""
    scopes = Setting(
        Table.texts,
        '["openid", "profile", "email", "groups"]',
        default_text=f"{SCOPES} beside OAUTH_CLIENT_ID; else those of the type: for {DEFAULT} "
        f"{' '.join(PROVIDER_TYPES[DEFAULT].scopes)}",
    )
    """Scopes to ask for. With OpenID Connect, openid must be among them."""
    redirect_uri = Setting(
        Table.text, '"https://portal.example.com/auth/callback"', default_text="<portal.url>/auth/oauth/<id>/callback"
    )
    """A callback that is already registered at the provider: /auth/oauth/<id>/callback, /auth/callback,
    /auth/auth/callback or /login/callback of the portal."""
    token_endpoint_auth_method = Setting(
        one_of(AUTH_METHODS), '"client_secret_post"', default_text="as the provider's metadata say, basic first"
    )
    """client_secret_basic, client_secret_post, or none for a public client."""
    prompt = Setting(_prompt, '"select_account"', default_text="OAUTH_PROMPT, else the provider decides")
    """What the provider shows at each sign-in: login, consent or select_account."""
    algorithms = Setting(_algorithms, '["RS256"]', default_text="every algorithm with a public key")
    """Signature algorithms accepted for ID tokens. HS256, HS384 and HS512 sign with the client secret; do not mix
    them with others. EdDSA means Ed25519."""
    email_verified = Setting(one_of((ASSUME,)), '"assume"', default_text="not verified")
    """With "assume", an e-mail address counts as verified if the provider does not say whether it is: it then
    counts for people and allowed_domains. An explicit false still counts as not verified. Use it only if people
    cannot change their address there. For oidc, keycloak, aws-cognito and generic."""
    domains = Setting(read_domains, '["example.com"]')
    """E-mail domains: the sign-in page sends people with such an address to this provider. It does not limit who
    may come in."""
    refresh = Setting(Table.flag, "false")
    """Whether the portal asks for a refresh token, to read people's claims again while they are signed in. Without
    it, a sign-in ends after lifetime_without_refresh."""
    hidden = Setting(Table.flag, "true")
    """Whether the sign-in page has no button for it. People get there by an address in its domains."""
    allowed_domains = Setting(read_allowed_domains, '["example.com"]', default_text="everybody")
    """Who may come in: people whose account belongs to one of these domains, by a verified address or by the
    provider's own record."""
    allowed_organisations = Setting(read_compared_names, '["example-org"]', default_text="everybody")
    """Who may come in: members of one of these organisations, if the type knows organisations."""
    allowed_tenants = Setting(read_names, '["acme"]', default_text="everybody")
    """Who may come in: people of one of these tenants, and in no other tenant, if the type knows tenants."""
    allowed_groups = Setting(read_compared_names, '["AI-Users"]', default_text="everybody")
    """Who may come in: members of one of these groups, if the type knows groups."""


_DISCOVERED: Final = "discovered; required with endpoints"


class EndpointsSection(Section, name="providers.endpoints", spec=Endpoints):
    """``[providers.endpoints]``."""

    authorize = Setting(_required_endpoint, '"https://id.example.com/authorize"', default_text=_DISCOVERED)
    """Authorization endpoint, for a provider without discovery."""
    token = Setting(_required_endpoint, '"https://id.example.com/token"', default_text=_DISCOVERED)
    """Token endpoint."""
    jwks = Setting(_required_endpoint, '"https://id.example.com/jwks"', default_text=_DISCOVERED)
    """Address of the provider's signing keys."""
    userinfo = Setting(_endpoint, '"https://id.example.com/userinfo"', default_text="discovered")
    """Userinfo endpoint."""
    end_session = Setting(_endpoint, '"https://id.example.com/logout"', default_text="discovered")
    """Where sign-out continues at the provider."""


def read_providers(values: object, *, variables: Variables, report: Report) -> tuple[ProviderSpec, ...]:
    """Read all of ``[[providers]]``; a provider with a problem is left out."""
    if type(values) is not list or not all(type(one) is dict for one in values):
        report.file("providers", "must be a list of tables.", "Write each provider as a section [[providers]].")
        return ()
    specs: list[ProviderSpec] = []
    for index, one in enumerate(values):
        provider_id = one.get("id")
        at = f"providers.{provider_id}" if is_slug(provider_id) else f"providers[{index}]"
        provider_type = _type_named(one)
        table = ProviderSection.table(one, at=at, known=_known(provider_type), report=report)
        spec = _spec(table, provider_type, variables=variables, report=report)
        if spec is not None:
            specs.append(spec)
    return tuple(specs)


def _type_named(values: Mapping[str, object]) -> ProviderType | None:
    name = next((values[key] for key in TYPE_KEYS if key in values), DEFAULT)
    return PROVIDER_TYPES.get(name) if isinstance(name, str) else None


def _known(provider_type: ProviderType | None) -> frozenset[str]:
    """Return the keys that may be in a provider's table; the keys of all types if its type is not known."""
    types = PROVIDER_TYPES.values() if provider_type is None else (provider_type,)
    options = {option.key for one in types for option in one.options}
    endpoints = {"endpoints"} if any(one.takes_endpoints for one in types) else set()
    return (ProviderSection.keys() - {"issuer"}) | options | endpoints


class _TableOptions:
    """The options of a provider type in one table of the file."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def value_of(self, option: Option) -> str | None:
        return self._table.text(option.key)

    def missing(self, option: Option) -> None:
        if not self._table.has(option.key):
            self.problem(option.key, "is missing.", f'Write it, like {option.key} = "{option.example}".')

    def problem(self, key: str, what: str, fix: str) -> None:
        self._table.problem(key, what, fix)


def _spec(table: Table, named: ProviderType | None, *, variables: Variables, report: Report) -> ProviderSpec | None:
    provider_type = named or PROVIDER_TYPES[DEFAULT]
    keys = ProviderSection.read(table)
    provider_id, method = keys["id"], keys["token_endpoint_auth_method"]
    client_id = _client_id(table, keys, variables)
    located = None if named is None else locate(provider_type, _TableOptions(table), client_id=client_id)
    if located is not None:
        _check_issuer(table, provider_type, located.place)
    secret = _client_secret(table, keys["client_secret_env"], variables, public=method == "none")
    written = keys["scopes"] if table.has("scopes") else None
    scopes = _scopes(table, written, provider_type, variables=variables, report=report)
    endpoints = _endpoints(table, report) if provider_type.takes_endpoints else None
    if endpoints is not None and located is not None and located.place.discovery is not None:
        key = "issuer" if located.place.issuer_of_document else "discovery"
        what = "is the address of a discovery document, beside endpoints."
        table.problem(key, what, "Write the issuer alone, or leave endpoints out.")
    _check_shared_secret(table, keys["algorithms"], secret)
    admission = admission_of(keys, named, table, options=None if located is None else located.options)
    _check_assumed(table, named, assumes=keys["email_verified"] == ASSUME)
    if keys["hidden"] and not keys["domains"]:
        fix = "Write the domains of its people's addresses."
        table.problem("hidden", "makes it impossible to choose this provider: domains is empty.", fix)
    if provider_id is None or client_id is None or located is None:
        return None
    place = located.place
    return ProviderSpec(
        id=provider_id,
        label=keys["label"]
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
        redirect_uri=keys["redirect_uri"],
        token_endpoint_auth_method=method or provider_type.token_endpoint_auth_method,
        algorithms=keys["algorithms"],
        authorize_params=(
            *provider_type.authorize_params,
            *place.authorize_params,
            *prompt_params(provider_id, provider_type, written=keys["prompt"], variables=variables),
        ),
        options=located.options,
        admission=within_tenants(admission, place, table),
        assumes_email=keys["email_verified"] == ASSUME,
        domains=keys["domains"],
        refresh=keys["refresh"],
        hidden=keys["hidden"],
    )


def _check_issuer(table: Table, provider_type: ProviderType, place: ProviderLocation) -> None:
    """Note an issuer whose claims another provider type must read: it knows what they prove."""
    owner = provider_type_at(place.issuer)
    if owner is not None and owner is not provider_type:
        table.problem(
            "issuer",
            f"is that of {owner.label}, whose claims only its own type can read.",
            f'Write type = "{owner.id}", and leave issuer out.',
        )
    elif is_document(place.issuer):
        table.problem("issuer", "is the address of a discovery document.", "Write the issuer that the document names.")


def _client_id(table: Table, keys: Mapping[str, Any], variables: Variables) -> str | None:
    written: str | None = keys["client_id"]
    name: str | None = keys["client_id_env"]
    if written is not None and name is not None:
        table.problem("client_id", "is there beside client_id_env.", "Write one of the two.")
    if written is not None:
        return written
    if name is None:
        table.problem("client_id", "is missing.", "Write the client id the provider gave, or client_id_env.")
        return None
    value = variables.get(name)
    if value is None:
        table.problem("client_id_env", f"names {printable(name)}, which is not set.", _SET)
    return value


def _client_secret(table: Table, name: str | None, variables: Variables, *, public: bool) -> Secret | None:
    key = "client_secret_env"
    if name is None:
        if not public and not table.has(key):
            fix = 'Name the variable that holds the secret; for a public client, token_endpoint_auth_method = "none".'
            table.problem(key, "is missing.", fix)
        return None
    if public:
        table.problem(key, "has no use for a public client.", "Leave out one of the two.")
    if not VARIABLE.fullmatch(name):
        table.problem(key, "is not a name of a variable.", "Write the name here, and the secret into the variable.")
        return None
    if not variables.mentions(name):
        table.problem(key, f"names {printable(name)}, which is not set.", _SET)
    value = variables.secret(name)
    return None if value is None else Secret(value)


def _check_shared_secret(table: Table, algorithms: tuple[str, ...], secret: Secret | None) -> None:
    """Note a client secret that is too short for the *algorithms* that sign with it."""
    sizes = [int(one[2:]) // 8 for one in algorithms if one in SHARED_SECRET_ALGORITHMS]
    if sizes and (secret is None or len(secret.reveal().encode()) < max(sizes)):
        table.problem(
            "algorithms",
            "needs a client secret at least as long as what it computes (RFC 7518, section 3.2).",
            "Have the provider sign with RS256 or ES256, or make a longer secret there.",
        )


def _scopes(
    table: Table,
    scopes: tuple[str, ...] | None,
    provider_type: ProviderType,
    *,
    variables: Variables,
    report: Report,
) -> tuple[str, ...] | None:
    client = (table.value("client_id_env"), table.value("client_secret_env"))
    # The client of a Space comes with the scopes it may ask for.
    takes_up = not table.has("scopes") and ("OAUTH_CLIENT_ID" in client or "OAUTH_CLIENT_SECRET" in client)
    beside = variables.words(SCOPES) if takes_up else None
    scopes = beside or scopes
    all_scopes = (*provider_type.always_scopes, *(scopes or ()))
    problem = None if scopes is None else problem_of_scopes(all_scopes, flow=provider_type.flow)
    if problem is not None and beside is not None:
        report.environment(SCOPES, *problem)
    elif problem is not None:
        table.problem("scopes", *problem)
    return scopes


def problem_of_scopes(scopes: tuple[str, ...], *, flow: Flow) -> tuple[str, str] | None:
    """Return what is wrong with *scopes*, or ``None``."""
    if not all(map(_SCOPE.fullmatch, scopes)):
        return "lists something that is not a scope.", "Write one scope per text, without spaces or quotes."
    if flow == "openid" and "openid" not in scopes:
        return "does not list openid, and without it there is no ID token.", "Add openid."
    return None


def _endpoints(table: Table, report: Report) -> Endpoints | None:
    values = table.mapping("endpoints")
    if values is None:
        return None
    inner = EndpointsSection.table(values, at=table.key("endpoints"), report=report)
    return Endpoints(**EndpointsSection.read(inner))


def _check_assumed(table: Table, provider_type: ProviderType | None, *, assumes: bool) -> None:
    if assumes and provider_type is not None and not provider_type.may_assume_email:
        what = f"cannot be assumed: {provider_type.label} reports of every address whether it can be trusted."
        table.problem("email_verified", what, "Leave it out.")

"""Every setting there is, as data: what the readers know, and what ``docs/settings.md`` must say.

The names of the table decide which keys exist; a key that is not here is a problem in the
file, and a row that is missing in the documentation fails a test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from portal.sign_in.provider_types.base import ProviderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting."""

    name: str
    """Dotted key in ``portal.toml``, or the name of an environment variable."""
    meaning: str
    default: str
    """What holds where it is left out; ``required`` where something must be said."""
    example: str
    """As it is written: a TOML value, or the text of a variable."""

    @property
    def where(self) -> str:
        """``portal.toml`` or ``environment``."""
        return "environment" if self.name.isupper() else "portal.toml"

    def markdown(self) -> str:
        """Return the row of ``docs/settings.md`` about this."""
        default = self.default.replace("<", "&lt;")
        return f"| `{self.name}` | {self.meaning.replace('<', '&lt;')} | {default} | `{self.example}` |"


def _row(name: str, meaning: str, default: str, example: str) -> Setting:
    return Setting(name=name, meaning=meaning, default=default, example=example)


REQUIRED: Final = "required"

PORTAL: Final = (
    _row(
        "portal.url",
        "Where browsers reach the portal: scheme, host and port.",
        REQUIRED,
        '"https://portal.example.com"',
    ),
    _row(
        "portal.apps_url",
        "Where browsers reach apps that name no url: a template over {app} and {port}.",
        "none",
        '"https://{app}.apps.example.com"',
    ),
    _row(
        "portal.apps_port",
        "First port given to apps that have a source and name no port.",
        "7810",
        "7810",
    ),
    _row("portal.title", "What the portal calls itself on its pages.", '"Gradio Portal"', '"Example AI"'),
    _row(
        "portal.landing",
        "After sign-in: the first of these apps that the person may open; else the catalogue.",
        "[]",
        '["admin-dashboard", "user-dashboard"]',
    ),
    _row("portal.idle_lifetime", "A sign-in ends after this long without use.", '"8h"', '"8h"'),
    _row(
        "portal.security_contact",
        "Where weaknesses are reported, as a mailto: or https: address: for /.well-known/security.txt (RFC 9116), "
        "which is not there without it.",
        "none",
        '"mailto:security@example.com"',
    ),
    _row(
        "portal.sign_ins_per_minute",
        "How often one client address, maybe a whole office, may ask for the sign-in page, the way to a provider, and "
        "callbacks, each.",
        "600",
        "2000",
    ),
    _row("portal.absolute_lifetime", "A sign-in ends after this long, used or not.", '"30d"', '"12h"'),
    _row(
        "portal.internal_url",
        "Where supervised apps reach the portal; https outside loopback.",
        "portal.url",
        '"http://127.0.0.1:7800"',
    ),
    _row(
        "portal.data_dir",
        "Folder of the embedded stores and the apps' logs, relative to the file; made with mode 0700, and closed where "
        "it is open, unless other things are in it.",
        '".portal"',
        '"/var/lib/gradio-portal"',
    ),
    _row(
        "portal.sign_in",
        "page, which shows what there is to sign in with; or direct, which sends strangers straight to the only "
        "provider there is, and shows the page after a sign-out, an error or a step back.",
        '"page"',
        '"direct"',
    ),
    _row(
        "portal.site",
        "The registrable domain that portal and apps share. Where it is not said, frames of apps on sibling names "
        "get partitioned cookies, which always work.",
        "none",
        '"example.com"',
    ),
    _row(
        "portal.trust_apps",
        "Accepts that apps run as the portal's own user or as each other's, or share its host: they can then read its "
        "database, keys and environment, or each other's, or be sent its cookies and act in its pages.",
        "false",
        "true",
    ),
    _row(
        "portal.user",
        "User of this machine that the portal runs as where root starts portal serve; must be said where apps have "
        "users of their own.",
        "whoever starts it",
        '"gradio-portal"',
    ),
    _row(
        "portal.app_uids",
        "Numbers of users that nobody here has: each app that names no user gets one of them, always the same. Nothing "
        "is made for it. portal serve must be started by root.",
        "none",
        '"70000-79999"',
    ),
    _row(
        "portal.apps_dir",
        "Folder of the folders of apps that have a user of their own: HOME, temporary files, uploads. Root's.",
        "the data folder's name with -apps, beside it",
        '"/var/lib/gradio-portal-apps"',
    ),
    _row(
        "portal.apps_run_by",
        "Who starts the apps that have a source: portal, or systemd by the units of portal config systemd, each as a "
        "user of its own; portal serve then refuses to start them.",
        '"portal"',
        '"systemd"',
    ),
    _row(
        "portal.trusted_proxies",
        "Addresses and networks of web servers whose X-Forwarded-For is believed, besides those of this machine.",
        "[]",
        '["10.0.0.0/8", "2001:db8::/32"]',
    ),
    _row(
        "portal.ca_file",
        "File of PEM with the company's own authorities: believed, besides the others, in all that the portal calls. "
        "Relative to the file.",
        "none",
        '"company-ca.pem"',
    ),
    _row(
        "portal.metrics_from",
        "Addresses and networks of whoever may read /metrics, without a web server in between; [] for nobody.",
        '["127.0.0.1", "::1"]',
        '["127.0.0.1", "10.1.2.3"]',
    ),
)

PROVIDERS: Final = (
    _row("providers.id", "Name in addresses: the callback is /auth/oauth/<id>/callback.", REQUIRED, '"company"'),
    _row("providers.label", 'What its button says, after "Continue with".', "the id", '"Example Company"'),
    _row(
        "providers.type",
        "Its make, which says how it signs people in and how its claims are read: one of the pages in providers/.",
        '"oidc"',
        '"oidc"',
    ),
    _row("providers.preset", "An earlier name of type.", "type", '"oidc"'),
    _row("providers.kind", "An earlier name of type.", "type", '"oidc"'),
    _row(
        "providers.issuer",
        "Exactly as the provider writes it in iss, a trailing slash counts; or the address of its discovery document, "
        "whose issuer counts then if it is at the same host. Other types know it, and take what their pages say "
        "instead.",
        "required; for descope, https://api.descope.com/<client_id>",
        '"https://id.example.com"',
    ),
    _row("providers.client_id", "The portal's client id there.", "required, or client_id_env", '"portal"'),
    _row("providers.client_id_env", "The variable that holds the client id.", "none", '"COMPANY_CLIENT_ID"'),
    _row(
        "providers.client_secret_env",
        "The variable that holds the client secret.",
        'required, unless token_endpoint_auth_method is "none"',
        '"COMPANY_CLIENT_SECRET"',
    ),
    _row(
        "providers.scopes",
        "What is asked for; with OpenID Connect, openid must be among it.",
        'OAUTH_SCOPES beside OAUTH_CLIENT_ID; else as the type says, ["openid", "profile", "email"] for oidc',
        '["openid", "profile", "email", "groups"]',
    ),
    _row(
        "providers.redirect_uri",
        "A callback that is registered already: /auth/oauth/<id>/callback, /auth/callback, /auth/auth/callback or "
        "/login/callback of the portal.",
        "<portal.url>/auth/oauth/<id>/callback",
        '"https://portal.example.com/auth/callback"',
    ),
    _row(
        "providers.token_endpoint_auth_method",
        "client_secret_basic, client_secret_post, or none for a public client.",
        "as the provider says, basic first",
        '"client_secret_post"',
    ),
    _row(
        "providers.prompt",
        "What the provider shows each time: login, consent or select_account.",
        "OAUTH_PROMPT, else as the provider likes",
        '"select_account"',
    ),
    _row(
        "providers.algorithms",
        "What it signs ID tokens with. HS256 and its like mean the client secret, and stand with no others; EdDSA "
        "means Ed25519.",
        "every algorithm with a public key",
        '["RS256"]',
    ),
    _row(
        "providers.email_verified",
        'What an address is of which the provider does not say whether it is verified: with "assume" it is, so that it '
        "opens what people and allowed_domains name. Only where people cannot change their address there; an explicit "
        "false still counts. For oidc, keycloak, aws-cognito and generic.",
        "not verified",
        '"assume"',
    ),
    _row(
        "providers.domains",
        "Domains of e-mail addresses whose owners the sign-in page leads here. No condition for coming in.",
        "[]",
        '["example.com"]',
    ),
    _row(
        "providers.hidden",
        "Whether the sign-in page has no button for it: only an address in its domains leads there.",
        "false",
        "true",
    ),
    _row(
        "providers.allowed_domains",
        "Who may come in: people whose account belongs to one of these domains, by a verified address or what the "
        "provider says of its own.",
        "everybody",
        '["example.com"]',
    ),
    _row(
        "providers.allowed_organisations",
        "Who may come in: members of one of these organisations, where the type knows them.",
        "everybody",
        '["example-org"]',
    ),
    _row(
        "providers.allowed_tenants",
        "Who may come in: people of one of these tenants, and in no other tenant, where the type knows tenants.",
        "everybody",
        '["acme"]',
    ),
    _row(
        "providers.allowed_groups",
        "Who may come in: members of one of these groups, where the type knows groups.",
        "everybody",
        '["AI-Users"]',
    ),
    _row(
        "providers.endpoints.authorize",
        "Authorization endpoint, for a provider without discovery.",
        "discovered; required where endpoints is given",
        '"https://id.example.com/authorize"',
    ),
    _row(
        "providers.endpoints.token",
        "Token endpoint.",
        "discovered; required where endpoints is given",
        '"https://id.example.com/token"',
    ),
    _row(
        "providers.endpoints.jwks",
        "Where the provider's signing keys are.",
        "discovered; required where endpoints is given",
        '"https://id.example.com/jwks"',
    ),
    _row("providers.endpoints.userinfo", "Userinfo endpoint.", "discovered", '"https://id.example.com/userinfo"'),
    _row(
        "providers.endpoints.end_session",
        "Where sign-out goes on at the provider.",
        "discovered",
        '"https://id.example.com/logout"',
    ),
)

ROLES: Final = (
    _row(
        "roles.<name>.when",
        "JMESPath over the verified claims of one tenant; gives the role where it yields exactly true.",
        "none",
        "\"contains(roles, 'Tenant Admin')\"",
    ),
    _row(
        "roles.<name>.groups",
        "Names of groups at the provider that give the role; exact, whichever way Unicode composes their letters "
        "(NFC). Either when or one of the groups is enough.",
        "[]",
        '["AI-Analysts"]',
    ),
    _row(
        "roles.<name>.provider",
        'The id of the one provider this rule is about, or "*" for each. Must be said where there are several '
        "providers.",
        "every provider",
        '"company"',
    ),
    _row(
        "roles.<name>.rights",
        "What the role may do at the portal's API, through apps that list it in portal_api: audit:read, sign-ins:read, "
        "sign-ins:end.",
        "all for the role admin; else none",
        '["audit:read", "sign-ins:read"]',
    ),
)

APPS: Final = (
    _row(
        "apps.<slug>.source",
        "What the supervisor runs: a file, a folder like a Hugging Face Space (relative to the file), or a module.",
        "required, or url",
        '"gradio_apps.user_dashboard"',
    ),
    _row(
        "apps.<slug>.url",
        "Where browsers reach it; without source: it runs elsewhere, behind the same guard.",
        "from portal.apps_url",
        '"https://forecast.apps.example.com"',
    ),
    _row("apps.<slug>.title", "Its name on the pages.", "from the slug", '"Forecast"'),
    _row("apps.<slug>.description", "One line about it.", '""', '"Sales of the next quarter"'),
    _row("apps.<slug>.icon", "One emoji or up to two letters.", '""', '"📈"'),
    _row(
        "apps.<slug>.open_to",
        'Roles that may open it, or "everyone" for everyone signed in. Nothing listed: nobody.',
        "[]",
        '["everyone"]',
    ),
    _row(
        "apps.<slug>.provider",
        'The id of the one provider whose people it is open to, or "*" for each. Must be said beside tenants or people '
        "where there are several providers: what one says of tenants and addresses is not the other's to say.",
        "every provider",
        '"company"',
    ),
    _row("apps.<slug>.tenants", "Ids of the tenants it is open in.", "every tenant", '["acme"]'),
    _row(
        "apps.<slug>.people",
        "Verified e-mail addresses that may open it, besides the roles.",
        "[]",
        '["ana@example.com"]',
    ),
    _row(
        "apps.<slug>.portal_api",
        "What it may do at the portal's API, as far as the person's roles may too: audit:read, sign-ins:read, "
        "sign-ins:end.",
        "[]",
        '["audit:read"]',
    ),
    _row(
        "apps.<slug>.browser",
        "What its frame may use of the browser, by the names of Permissions Policy.",
        "[]",
        '["microphone", "clipboard-write"]',
    ),
    _row(
        "apps.<slug>.start",
        "Where it opens: a path of its own.",
        "/; where that shows no page and one interface is mounted below, there",
        '"/ui"',
    ),
    _row("apps.<slug>.required", "Whether /readyz waits for it.", "false", "true"),
    _row("apps.<slug>.env", "Variables of its process, none of them secret.", "{}", '{ MODEL = "small" }'),
    _row(
        "apps.<slug>.secrets",
        "Names of variables that are handed to this app alone, and redacted everywhere; they must be set, unless units "
        "run the apps.",
        "[]",
        '["OPENAI_API_KEY"]',
    ),
    _row(
        "apps.<slug>.env_file",
        "File of NAME=value lines, handed to this app alone at each start, and redacted everywhere; relative to the "
        "file, open to its owner alone, or to read for its group, and in a folder that no app's user may write to.",
        "none",
        '"secrets/forecast.env"',
    ),
    _row(
        "apps.<slug>.user",
        "User of this machine that it runs as: a name or a number; not root, nor the portal's, nor another app's. "
        "portal serve must be started by root.",
        "one of portal.app_uids, else the portal's own",
        '"forecast"',
    ),
    _row(
        "apps.<slug>.python",
        "Interpreter that runs it, with its own packages; relative to the file.",
        "the portal's own",
        '"environments/forecast/bin/python"',
    ),
    _row(
        "apps.<slug>.start_timeout",
        "How long it may take to come up, an hour at most: a number of seconds, or with a unit s, m, h.",
        "10m",
        '"1h"',
    ),
    _row(
        "apps.<slug>.drain_timeout",
        "How long its old process may finish what runs in it, after a reload or restart put a new one in its place; an "
        "hour at most.",
        "2m",
        '"10m"',
    ),
    _row(
        "apps.<slug>.memory",
        "Memory it may use with everything it starts; over it, it is ended and started again (Linux).",
        "as much as there is",
        '"2 GB"',
    ),
    _row("apps.<slug>.port", "Port the supervisor listens on for it, on loopback.", "the next free one", "7871"),
    _row(
        "apps.<slug>.internal_url",
        "Where the portal reaches it; https outside loopback.",
        "http://127.0.0.1:<port> with a source, else its url",
        '"http://127.0.0.1:7871"',
    ),
)

ENVIRONMENT: Final = (
    _row(
        "PORTAL_CONFIG",
        "The configuration file.",
        "portal.toml in the working folder",
        "/etc/gradio-portal/portal.toml",
    ),
    _row(
        "PORTAL_URL",
        "portal.url; wins over the file.",
        "the file, else CHAINLIT_URL, else OAUTH_REDIRECT_URI's origin, else SPACE_HOST",
        "https://portal.example.com",
    ),
    _row("PORTAL_APPS_URL", "portal.apps_url; wins over the file.", "the file", "https://{app}.apps.example.com"),
    _row("PORTAL_INTERNAL_URL", "portal.internal_url; wins over the file.", "the file", "http://127.0.0.1:7800"),
    _row(
        "PORTAL_TRUSTED_PROXIES",
        "portal.trusted_proxies, separated by commas or spaces; wins over the file. Guards read it too.",
        "the file",
        "10.0.0.0/8, 2001:db8::/32",
    ),
    _row(
        "PORTAL_DATA_DIR",
        "portal.data_dir, relative to the working folder; wins over the file.",
        "the file",
        "/var/lib/gradio-portal",
    ),
    _row(
        "PORTAL_SECRET_KEY",
        "Encrypts and signs what the portal keeps: at least 32 random characters. Several, separated by commas or "
        "spaces, for rotation: the first is used, all are read.",
        REQUIRED,
        "zB1… of python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
    ),
    _row(
        "PORTAL_DATABASE_URL",
        "Where sign-ins, keys and the audit are kept: SQLite or PostgreSQL.",
        "portal.db in the data folder",
        "postgresql+psycopg://portal:…@db.example.com/portal",
    ),
    _row(
        "PORTAL_RATE_LIMIT_STORAGE",
        "Where rate limits are counted, as Flask-Limiter writes it. machine:// is a file in the data folder, for all "
        "processes of one machine; several machines need Redis.",
        "machine://",
        "redis://localhost:6379",
    ),
    _row(
        "PORTAL_CA_FILE",
        "portal.ca_file, relative to the working folder; wins over the file. Guards read it too.",
        "the file",
        "/etc/ssl/company-ca.pem",
    ),
    _row(
        "HTTPS_PROXY",
        "Proxy for all that is called beyond this machine; also https_proxy, which wins. It may hold a password.",
        "ALL_PROXY",
        "http://proxy.example.com:3128",
    ),
    _row(
        "ALL_PROXY",
        "The same, where neither is set; also all_proxy.",
        "none: called directly",
        "http://proxy.example.com:3128",
    ),
    _row(
        "NO_PROXY",
        "Hosts, domains with all below them, and networks that are called directly; also no_proxy, which wins. * for "
        "everything.",
        "none",
        ".example.com, 10.0.0.0/8",
    ),
    _row(
        "SSL_CERT_FILE",
        "File of PEM with the authorities that are believed, instead of the public ones.",
        "REQUESTS_CA_BUNDLE",
        "/etc/ssl/certs/ca-certificates.crt",
    ),
    _row(
        "REQUESTS_CA_BUNDLE",
        "The same; a file or a folder.",
        "SSL_CERT_DIR",
        "/etc/ssl/certs/ca-certificates.crt",
    ),
    _row(
        "SSL_CERT_DIR",
        "The same; a folder as OpenSSL's rehash makes it.",
        "the public authorities, as certifi has them",
        "/etc/ssl/certs",
    ),
    _row(
        "PORTAL_SIGN_IN_HOOK",
        "The company's own rule for who may come in: a function with the signature of Chainlit's oauth_callback.",
        "none",
        "company.rules:who_comes_in",
    ),
    _row(
        "CHAINLIT_URL",
        "Chainlit's name for PORTAL_URL; read where neither that nor the file says it.",
        "none",
        "https://portal.example.com",
    ),
    _row(
        "SPACE_HOST",
        "The host of the Hugging Face Space the portal runs in, set there; the first of several is the portal's, where "
        "nothing else says its address.",
        "none",
        "acme-portal.hf.space",
    ),
    _row(
        "OAUTH_PROMPT",
        "prompt of every provider that honours it: none, login, consent or select_account. For one alone, with the "
        "last word, OAUTH_<ID>_PROMPT: the provider's id in capitals, with _ for -.",
        "as each provider likes",
        "select_account",
    ),
    _row(
        "OPENID_PROVIDER_URL",
        "Turns on any OpenID Connect provider, by its issuer or the address of its discovery document; "
        "https://huggingface.co turns on Hugging Face, https://accounts.google.com Google.",
        "none",
        "https://id.example.com",
    ),
    _row(
        "OAUTH_CLIENT_NAME",
        "Label of that provider, and its id in lower case.",
        "descope, huggingface or openid",
        "descope",
    ),
    _row(
        "OAUTH_CLIENT_ID",
        "The portal's client id there; at Descope the project id.",
        REQUIRED,
        "P2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    ),
    _row("OAUTH_CLIENT_SECRET", "The client secret; at Descope an access key.", REQUIRED, "(secret)"),
    _row(
        "OAUTH_SCOPES",
        "What is asked for, separated by spaces; also in a section that names the client beside it and no scopes.",
        "as providers.scopes",
        "openid profile email descope.claims",
    ),
    _row(
        "OAUTH_REDIRECT_URI",
        "The callback that is registered at the provider.",
        "<portal.url>/auth/oauth/<id>/callback",
        "https://portal.example.com/auth/callback",
    ),
    _row(
        "OAUTH_AUTHORIZE_URL",
        "Turns on Descope by the tutorial's names. Not together with OPENID_PROVIDER_URL.",
        "none",
        "https://api.descope.com/oauth2/v1/authorize",
    ),
    _row(
        "OAUTH_ACCESS_TOKEN_URL",
        "Descope's token endpoint.",
        "required beside it",
        "https://api.descope.com/oauth2/v1/token",
    ),
    _row(
        "OAUTH_JWKS_URI",
        "Descope's signing keys; the issuer is this address without /.well-known/jwks.json.",
        "required beside it",
        "https://api.descope.com/P2aBcDeFgHiJkLmNoPqRsTuVwXyZ/.well-known/jwks.json",
    ),
    _row(
        "OAUTH_USERINFO_ENDPOINT", "Descope's userinfo endpoint.", "none", "https://api.descope.com/oauth2/v1/userinfo"
    ),
    _row(
        "ADMIN_ROLE",
        "The Descope role that gives the role admin, in its own tenant, where [roles.admin] is not configured.",
        "Tenant Admin",
        "Tenant Admin",
    ),
    _row(
        "SESSION_SECRET_KEY",
        "The tutorial's name for PORTAL_SECRET_KEY; read where that is not set.",
        "none",
        "(secret)",
    ),
)

SETTINGS: Final[tuple[Setting, ...]] = PORTAL + PROVIDERS + ROLES + APPS + ENVIRONMENT
"""All of them, in the order of the documentation."""


def rows_of(provider_type: ProviderType) -> Iterator[str]:
    """Yield the rows of the page of *provider_type* in ``docs/providers/`` about what it is told."""
    own = provider_type.variables is not None
    client_id = provider_type.client_id_variable if own else None
    client_secret = provider_type.client_secret_variable if own else None
    yield _told("client_id", client_id, "The portal's client id there.", REQUIRED, "portal")
    yield _told(
        "client_secret_env",
        client_secret,
        "The client secret; in the file, the name of the variable that holds it.",
        REQUIRED,
        "COMPANY_CLIENT_SECRET",
    )
    for one in provider_type.options:
        yield _told(one.key, one.variable, one.meaning, one.default, one.example)
    if provider_type.name_variable is not None:
        about_name = "Its name on its button, in addresses and in its callback."
        yield _told("id", provider_type.name_variable, about_name, provider_type.id, "company")
    scopes = " ".join(provider_type.scopes)
    missing = REQUIRED if provider_type.scopes_required else scopes or "none"
    yield _told("scopes", provider_type.scopes_variable, "What is asked for.", missing, scopes or "profile email")


def _told(key: str, variable: str | None, meaning: str, default: str, example: str) -> str:
    named = "" if variable is None else f"`{variable}`"
    return f"| `{key}` | {named} | {meaning} | {default.replace('<', '&lt;')} | `{example}` |"


def keys_under(section: str) -> frozenset[str]:
    """Return the keys that may stand in *section*, for example ``portal`` or ``apps.<slug>``."""
    prefix = f"{section}."
    return frozenset(one.name.removeprefix(prefix).partition(".")[0] for one in SETTINGS if one.name.startswith(prefix))


EXAMPLES: Final = {one.name: one.example for one in ENVIRONMENT}
"""Of each environment variable the portal reads, how it may be written."""
VARIABLES: Final = frozenset(EXAMPLES)
"""Names of the environment variables the portal reads."""

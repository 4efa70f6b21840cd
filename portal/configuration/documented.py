"""Every setting there is, as data: what the readers know, and what ``docs/settings.md`` must say.

The names of the table decide which keys exist; a key that is not here is a problem in the
file, and a row that is missing in the documentation fails a test.
"""

from dataclasses import dataclass
from typing import Final


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
    _row("portal.absolute_lifetime", "A sign-in ends after this long, used or not.", '"30d"', '"12h"'),
    _row(
        "portal.internal_url",
        "Where supervised apps reach the portal; https outside loopback.",
        "portal.url",
        '"http://127.0.0.1:7800"',
    ),
    _row(
        "portal.data_dir",
        "Folder of the embedded stores and the apps' logs, relative to the file; made with mode 0700.",
        '".portal"',
        '"/var/lib/gradio-portal"',
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
        "Accepts that apps run as the portal's own user, or share its host: they can then read its database, keys and "
        "environment, or be sent its cookies and act in its pages.",
        "false",
        "true",
    ),
    _row(
        "portal.trusted_proxies",
        "Addresses and networks of web servers whose X-Forwarded-For is believed, besides those of this machine.",
        "[]",
        '["10.0.0.0/8", "2001:db8::/32"]',
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
    _row("providers.kind", "How its claims are read: oidc or descope.", '"oidc"', '"oidc"'),
    _row(
        "providers.issuer",
        "Exactly as the provider writes it in iss; a trailing slash counts.",
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
        "What is asked for; openid must be among it.",
        '["openid", "profile", "email"]; for descope also "descope.claims"',
        '["openid", "profile", "email", "groups"]',
    ),
    _row(
        "providers.redirect_uri",
        "A callback that is registered already: /auth/oauth/<id>/callback, /auth/callback or /login/callback of the "
        "portal.",
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
        "as the provider likes",
        '"select_account"',
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
        "Names of groups at the provider that give the role; exact. Either when or one of the groups is enough.",
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
    _row("apps.<slug>.required", "Whether /readyz waits for it.", "false", "true"),
    _row("apps.<slug>.env", "Variables of its process, none of them secret.", "{}", '{ MODEL = "small" }'),
    _row(
        "apps.<slug>.secrets",
        "Names of variables that are handed to this app alone, and redacted everywhere.",
        "[]",
        '["OPENAI_API_KEY"]',
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
        "the file, else OAUTH_REDIRECT_URI's origin",
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
        "Where rate limits are counted, as Flask-Limiter writes it; one place for all processes.",
        "memory://",
        "redis://localhost:6379",
    ),
    _row(
        "OPENID_PROVIDER_URL",
        "Turns on any OpenID Connect provider, by its issuer or the address of its discovery document.",
        "none",
        "https://id.example.com",
    ),
    _row("OAUTH_CLIENT_NAME", "Label of that provider, and its id in lower case.", "descope or openid", "descope"),
    _row(
        "OAUTH_CLIENT_ID",
        "The portal's client id there; at Descope the project id.",
        REQUIRED,
        "P2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    ),
    _row("OAUTH_CLIENT_SECRET", "The client secret; at Descope an access key.", REQUIRED, "(secret)"),
    _row(
        "OAUTH_SCOPES",
        "What is asked for, separated by spaces.",
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


def keys_under(section: str) -> frozenset[str]:
    """Return the keys that may stand in *section*, for example ``portal`` or ``apps.<slug>``."""
    prefix = f"{section}."
    return frozenset(one.name.removeprefix(prefix).partition(".")[0] for one in SETTINGS if one.name.startswith(prefix))


VARIABLES: Final = frozenset(one.name for one in ENVIRONMENT)
"""Names of the environment variables the portal reads."""

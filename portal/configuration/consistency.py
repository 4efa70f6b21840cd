"""Checks of the whole configuration: whether its parts fit together."""

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Final
from urllib.parse import urlsplit

from portal.configuration.addresses import (
    cookie_mode,
    host_of,
    normalised,
    origin_of,
    problem_of,
)
from portal.configuration.app_users import clashes, free_number
from portal.configuration.report import Report
from portal.configuration.space_readme import sign_in_of
from portal.contract import is_loopback_url, takes_secure_cookies
from portal.errors import ENVIRONMENT, choices
from portal.rules.catalogue import EVERY_PROVIDER, EVERYONE, AppSpec
from portal.rules.policy import API_RIGHTS
from portal.rules.provider_paths import CALLBACK, provider_path
from portal.settings import REGISTERED_CALLBACKS, ProviderSpec, Settings

RESERVED: Final = frozenset(
    {
        ".portal",
        ".well-known",
        "account",
        "api",
        "apps",
        "auth",
        "healthz",
        "login",
        "logout",
        "oauth",
        "readyz",
        "sign-in",
        "sign-out",
        "signed-out",
        "static",
        "tenant",
    }
)
"""First segments of the portal's own paths.  ``gradio`` is not one: only links lead there, and apps often use it."""
_OWN_USER: Final = (
    'Give it a user of its own: write portal.app_uids = "70000-79999", or user = "…" for this app. Or write '
    'portal.apps_run_by = "systemd", and run the units that `portal config systemd` writes. Or write '
    "portal.trust_apps = true to accept that."
)


def check_template(template: str, *, source: tuple[str, str], report: Report) -> None:
    """Note what is wrong with *template*, the address of apps, at its *source*: the place and its name there."""
    if template and "{app}" not in template and "{port}" not in template:
        report.at(*source, "gives all apps the same address.", "Put {app} or {port} into it.")
    elif template and (problem := problem_of(template.replace("{app}", "app").replace("{port}", "7810"), path="plain")):
        report.at(*source, *problem)


def check_providers(settings: Settings, *, report: Report) -> None:
    """Note that there is no provider, that two clash, or that a secret is used twice."""
    if not settings.providers and not any(
        problem.key.startswith(("providers", "OAUTH_", "OPENID_")) for problem in report.problems
    ):
        report.file(
            "providers",
            "are missing: nobody could sign in.",
            "Write a section [[providers]], or set OPENID_PROVIDER_URL, OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET.",
        )
    for one, other in combinations(settings.providers, 2):
        if one.id == other.id and other.variables:
            report.environment(
                other.variables[0],
                f"turns on a second provider called {other.id!r}.",
                "Leave one of the two out, or give the one in portal.toml another id.",
            )
        elif one.id == other.id:
            report.file(f"providers.{one.id}", "is there twice.", "Give each provider an id of its own.")
        elif one.redirect_uri is not None and one.redirect_uri == other.redirect_uri:
            report.file(  # RFC 9700, 4.4: one provider's answer could be taken to the other
                f"providers.{other.id}.redirect_uri",
                f"is also the callback of {one.id}.",
                f"Register {settings.url}{provider_path(other.id, CALLBACK)} for it, and leave this out.",
            )
    if any(spec.client_secret in settings.secret_keys for spec in settings.providers):
        report.environment("PORTAL_SECRET_KEY", "is also a client secret.", "Use each secret for one thing.")


def check_ways_in(settings: Settings, *, report: Report) -> None:
    """Note that the sign-in page could not tell which of several providers to use."""
    provider_of: dict[str, str] = {}
    for spec in settings.providers:
        for domain in sorted(spec.domains):
            if provider_of.setdefault(domain, spec.id) != spec.id:
                report.file(
                    f"providers.{spec.id}.domains",
                    f"lists {domain!r}, which {provider_of[domain]} lists too.",
                    "List each domain for one provider only.",
                )
    if settings.sign_in == "direct" and len(settings.providers) > 1:
        report.file(
            "portal.sign_in",
            "is direct, but there are several providers to choose from.",
            'Write "page"; there an e-mail address leads to the provider that lists its domain.',
        )


def check_reach(settings: Settings, *, portal_place: tuple[str, str], report: Report) -> None:
    """Note providers on loopback for a portal that is not: such a portal must not trust a demo provider."""
    if is_loopback_url(settings.url):
        return
    for spec in settings.providers:
        ends = spec.endpoints
        named = () if ends is None else (ends.authorize, ends.token, ends.jwks, ends.userinfo, ends.end_session)
        if any(url and is_loopback_url(url) for url in (spec.issuer, spec.discovery, *named)):
            report.at(
                *portal_place,
                f"is a public address, but the provider {spec.id!r} is on loopback, where any process may answer.",
                "Only a portal on loopback can use a provider on loopback; use the company's provider.",
            )


def check_callbacks(settings: Settings, *, of_environment: ProviderSpec | None, report: Report) -> None:
    """Note registered callbacks that are not this portal's."""
    for spec in settings.providers:
        paths = (spec.callback_path, *REGISTERED_CALLBACKS)
        callbacks = [f"{settings.url}{path}" for path in paths]
        if spec.redirect_uri is not None and spec.redirect_uri not in callbacks:
            here = spec is of_environment
            report.at(
                ENVIRONMENT if here else report.place,
                "OAUTH_REDIRECT_URI" if here else f"providers.{spec.id}.redirect_uri",
                "is not a callback of this portal.",
                f"Register and write one of: {', '.join(callbacks)}; or fix the portal's own address.",
            )


def check_roles(settings: Settings, *, providers: Collection[str], report: Report) -> None:
    """Note rules and apps that name a provider not in *providers*, or none although there are several.

    Roles, groups, tenants and addresses of one provider mean nothing at another: whoever administers the second
    could give a tenant or a group there the same name.
    """
    named = [(f"roles.{rule.role}", rule.provider, True) for rule in settings.roles]
    named += [
        (f"apps.{app.slug}", app.provider, app.tenants is not None or bool(app.people)) for app in settings.catalogue
    ]
    for at, provider, is_required in named:
        if provider is None:
            if is_required and len(settings.providers) > 1:
                report.file(
                    f"{at}.provider",
                    "is missing, and there are several providers: any of them could grant this.",
                    f'Write provider = "{settings.providers[0].id}", or "{EVERY_PROVIDER}" to trust all.',
                )
        elif provider != EVERY_PROVIDER and provider not in providers:
            report.file(f"{at}.provider", f"names {provider!r}, which is not a provider.", choices(provider, providers))


def check_catalogue(settings: Settings, *, slugs: Collection[str], report: Report) -> None:
    """Note apps that clash, and unknown names; *slugs* are those of all configured apps, with problems or not."""
    for slug in settings.landing:
        if slug not in slugs:
            report.file("portal.landing", f"names {slug!r}, which is not an app.", choices(slug, slugs))
    granted = frozenset[str]().union(*settings.rights_of_roles.values())
    for app in settings.catalogue:
        for right in sorted((app.portal_api & API_RIGHTS.keys()) - granted):
            report.file(
                f"apps.{app.slug}.portal_api",
                f"names {right!r}, which no role has.",
                'Add it to the rights of a role, as in [roles.admin] rights = ["…"].',
            )
    for one, other in combinations(settings.catalogue, 2):
        _check_pair(one, other, report)


def check_users(settings: Settings, *, report: Report) -> None:
    """Note apps that have the portal's user, and apps that share a user although that is not allowed."""
    users = {app.slug: app.user for app in settings.catalogue if app.user is not None}
    for slug, user in users.items():
        if user == settings.user:
            report.file(
                f"apps.{slug}.user",
                "is the portal's own user: the app could read the portal's database, keys and environment.",
                "Give it a user of its own.",
            )
    if settings.trust_apps:
        return
    numbers = settings.app_uids
    free = None if numbers is None else free_number(numbers, users.values())
    for slug, other in clashes(users):
        report.file(
            f"apps.{slug}.user",
            f"is also the user of {other}: each could read the other's data.",
            "Give it a user of its own, or write portal.trust_apps = true to accept that."
            if free is None
            else f"Write user = {free} for it, which is free in portal.app_uids.",
        )


def check_spaces(settings: Settings, *, report: Report) -> None:
    """Note Spaces that are open to an organisation on the hub, and to everyone here; on loopback that is allowed."""
    if is_loopback_url(settings.url):
        return
    for app in settings.catalogue:
        names = organisations_passed_over(app, settings)
        if names:
            report.file(
                f"apps.{app.slug}.open_to",
                f"is everyone, but the README of its Space lets in {', '.join(names)} only (hf_oauth_authorized_org).",
                "List the roles that may open it; or give the provider huggingface allowed_organisations; or take the "
                "line out of the README.",
            )


def organisations_passed_over(app: AppSpec, settings: Settings) -> tuple[str, ...]:
    """Return the organisations that *app*'s README limits it to, if it is open to everyone here."""
    readme = sign_in_of(app.source)
    if readme is None or not readme.organisations or EVERYONE not in app.open_to or app.tenants is not None:
        return ()
    providers = [spec for spec in settings.providers if app.provider in {None, EVERY_PROVIDER, spec.id}]
    is_limited = all(
        spec.provider_type == "huggingface" and (spec.admission.organisations or spec.admission.tenants)
        for spec in providers
    )
    return () if is_limited else readme.organisations


def check_addresses(settings: Settings, *, report: Report) -> None:
    """Note apps that clash with the portal, or that would need trust that nobody gave them."""
    users_meant = any(problem.key == "portal.app_uids" for problem in report.problems)
    for app in settings.catalogue:
        if _needs_trust(app, settings) and not users_meant:
            report.file(
                f"apps.{app.slug}.source",
                "would run as the portal's own user: it could read the portal's database, keys and environment.",
                _OWN_USER,
            )
        for what, fix, key in _address_problems_of(app, settings):
            report.file(f"apps.{app.slug}.{key}", what, fix)


def runs_as_the_portal(app: AppSpec, settings: Settings) -> bool:
    """Return whether the portal starts *app* as its own user."""
    return app.source is not None and app.user is None and settings.apps_run_by == "portal"


def _needs_trust(app: AppSpec, settings: Settings) -> bool:
    return runs_as_the_portal(app, settings) and not is_loopback_url(settings.url) and not settings.trust_apps


def _address_problems_of(app: AppSpec, settings: Settings) -> Iterator[tuple[str, str, str]]:
    if origin_of(app.url) == normalised(settings.url):
        path = urlsplit(app.url).path
        if not path:
            yield "is the portal's own address.", "Give the app a host, a port or a path of its own.", "url"
        elif path.split("/")[1] in RESERVED:
            yield "is one of the portal's own paths.", f"Begin it with none of {', '.join(sorted(RESERVED))}.", "url"
        elif not settings.trust_apps:
            yield (
                "shares the portal's origin: its pages could act as the person in the portal.",
                "Write portal.trust_apps = true to accept that, or give apps a host of their own.",
                "url",
            )
    elif host_of(app.url) == host_of(settings.url) and not is_loopback_url(settings.url) and not settings.trust_apps:
        yield (  # a cookie belongs to a host, whatever the port (RFC 6265, 8.5)
            "shares the portal's host: browsers send it the portal's cookies, whatever the port.",
            "Write portal.trust_apps = true to accept that, or give apps a host of their own.",
            "url",
        )
    if is_loopback_url(app.url) and not is_loopback_url(settings.url):
        yield "is on loopback, which only this machine can reach.", "Write where browsers reach it.", "url"
    elif cookie_mode(settings, app) == "partitioned" and not takes_secure_cookies(app.url):
        yield (
            f"is another site than the portal ({host_of(settings.url)}), and no cookie gets there over plain http.",
            "Use the same host for both, names under one .localhost name, or https.",
            "url",
        )


def _check_pair(one: AppSpec, other: AppSpec, report: Report) -> None:
    if one.port is not None and one.port == other.port:
        report.file(f"apps.{other.slug}.port", f"is also the port of {one.slug}.", "Choose another.")
    if one.url == other.url:
        report.file(f"apps.{other.slug}.url", f"is also the address of {one.slug}.", "Give each app one of its own.")
    elif f"{one.url}/".startswith(f"{other.url}/") or f"{other.url}/".startswith(f"{one.url}/"):
        report.file(f"apps.{other.slug}.url", f"and that of {one.slug} overlap.", "Give each app a path of its own.")

"""The portal as a Flask application: its parts, in order.

Everything a test replaces is a keyword of :func:`create_app`; no module has state.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flask import Flask
from jinja2 import StrictUndefined

from portal.clock import Clock, rfc3339, system_clock
from portal.server.request_reader import LARGEST_BODY
from portal.settings import Settings
from portal.sign_in.providers.base import Provider
from portal.web.browser_sessions import install_sessions
from portal.web.headers import install_headers
from portal.web.rate_limits import RateLimits, install_limits, limits_of
from portal.web.request_checks import install_form_checks, install_request_checks
from portal.web.request_log import install_request_log
from portal.web.services import build_services, install_services
from portal.web.static_files import install_static_files
from portal.web.times import utc
from portal.web.views import (
    account,
    api,
    app_states,
    apps,
    callback,
    catalogue,
    errors,
    health,
    known_addresses,
    metrics,
    oauth,
    probe,
    provider_logout,
    sign_in,
    sign_out,
    well_known,
)

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_BLUEPRINTS: Final = (
    catalogue.blueprint,
    app_states.blueprint,
    apps.blueprint,
    account.blueprint,
    sign_in.blueprint,
    callback.blueprint,
    sign_out.blueprint,
    provider_logout.blueprint,
    known_addresses.blueprint,
    oauth.blueprint,
    api.blueprint,
    health.blueprint,
    metrics.blueprint,
    probe.blueprint,
    well_known.blueprint,
    errors.blueprint,
)


def create_app(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    providers: Mapping[str, Provider] | None = None,
    limits: RateLimits | None = None,
) -> Flask:
    """Build the portal described by *settings*; starts no thread and sends no request.

    Raises:
        StoreUnavailable: the database cannot be opened or brought up to date.
    """
    static = resource_folder("static")
    app = Flask("portal", template_folder=str(resource_folder("templates")), static_folder=str(static))
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_BODY, MAX_FORM_MEMORY_SIZE=LARGEST_BODY)
    install_services(app, build_services(settings, clock=clock, providers=providers))
    install_sessions(app, settings, clock=clock)
    install_request_log(app, settings.trusted_proxies)
    install_headers(app, https=settings.url.startswith("https://"))
    install_request_checks(app, settings)
    install_limits(app, settings, limits or limits_of(settings))
    install_form_checks(app)
    install_templates(app)
    install_static_files(app, static)
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def install_templates(app: Flask) -> None:
    """Give templates the values of their page and nothing else; a missing name is an error."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(rfc3339=rfc3339, utc=utc)
    app.template_context_processors.clear()
    for ambient in ("config", "g", "get_flashed_messages", "request", "session", "url_for"):
        app.jinja_env.globals.pop(ambient, None)


def resource_folder(name: str) -> Path:
    """Return the folder *name*: inside the installed package, or beside it in a checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the portal's {name} folder is missing from this installation")

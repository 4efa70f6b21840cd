"""Sends a browser to an identity provider."""

from flask import g, make_response, redirect
from werkzeug.wrappers import Response

from portal.sign_in.providers.base import Provider
from portal.web.attempt_cookies import remember_attempt
from portal.web.pages import ForwardPage, render
from portal.web.services import services


def redirect_to_provider(
    provider: Provider,
    *,
    target: str,
    login_hint: str | None = None,
    by_page: bool = False,
    asks_refresh: bool = True,
) -> Response:
    """Begin an attempt that leads to *target*, and send the browser to *provider*: by a page or by a redirect.

    Raises:
        ProviderUnavailable: the provider's metadata cannot be had.
    """
    g.going_to = target  # where the error page's link leads
    settings = services().settings
    url, attempt = provider.begin(
        redirect_uri=settings.callback_of(provider.spec),
        return_to=target,
        now=services().clock(),
        login_hint=login_hint,
        asks_refresh=asks_refresh,
    )
    label = provider.spec.label
    page = ForwardPage(heading=f"Continuing to {label}", link=f"Continue with {label}", href=url)
    response = make_response(render(page)) if by_page else redirect(url, 303)
    remember_attempt(attempt, response)
    return response

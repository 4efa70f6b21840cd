"""Asking a provider what it is, and whether it knows the portal, without signing anybody in."""

from dataclasses import replace
from typing import Final

from portal.attempts import new_attempt
from portal.errors import CallbackRejected, ProviderUnavailable
from portal.providers.authorization_probe import ask_authorization
from portal.providers.base import Survey
from portal.providers.client_credentials import BASIC, BasicCredentials
from portal.providers.exchange import exchange_code
from portal.providers.transport import Budget, Transport
from portal.settings import ProviderSpec

MADE_UP_CODE: Final = "made-up-by-portal-providers-test"


def tried(
    survey: Survey,
    *,
    spec: ProviderSpec,
    authorize: str,
    token: str,
    redirect_uri: str,
    basic: BasicCredentials,
    transport: Transport,
) -> Survey:
    """Return *survey* with what both endpoints say of the portal as a client.  Takes the budget of two requests."""
    problem = client_problem(
        spec=spec,
        endpoint=token,
        method=survey.auth_method or BASIC,
        redirect_uri=redirect_uri,
        basic=basic,
        transport=transport,
        budget=transport.budget(),
    )
    asked = ask_authorization(
        spec=spec, endpoint=authorize, redirect_uri=redirect_uri, transport=transport, budget=transport.budget()
    )
    return replace(
        survey,
        client_problem=problem,
        request_problem=asked.problem,
        callback_known=asked.callback_known,
        callback_unclear=asked.unclear,
    )


def client_problem(
    *,
    spec: ProviderSpec,
    endpoint: str,
    method: str,
    redirect_uri: str,
    basic: BasicCredentials,
    transport: Transport,
    budget: Budget,
) -> str | None:
    """Return how the token endpoint refuses the portal as a client, or ``None``.

    It is asked with a code that nobody was given.  A provider that looks at the client first (RFC 6749, section 5.2)
    says so where id or secret are wrong; that it refuses the code instead proves nothing, since it may look at that
    first.
    """
    attempt = new_attempt(provider=spec.id, redirect_uri=redirect_uri, return_to="/", now=0)
    try:
        exchange_code(
            MADE_UP_CODE,
            attempt,
            spec=spec,
            endpoint=endpoint,
            method=method,
            basic=basic,
            transport=transport,
            budget=budget,
        )
    except ProviderUnavailable as error:
        return str(error)
    except CallbackRejected:
        return None
    return "the token endpoint gave a token for a code that was made up"

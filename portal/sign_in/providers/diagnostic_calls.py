"""Checks whether a provider accepts the portal as a client, without signing anyone in."""

from dataclasses import replace
from typing import Final

from portal.errors import CallbackRejected, ProviderMisconfigured, ProviderUnavailable
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import new_attempt
from portal.sign_in.providers.authorization_probe import ask_authorization
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.client_credentials import BASIC, BasicCredentials
from portal.sign_in.providers.exchange import exchange_code
from portal.sign_in.providers.transport import Budget, Transport

MADE_UP_CODE: Final = "made-up-by-portal-providers-test"


def with_client_check(
    diagnostics: ProviderDiagnostics,
    *,
    spec: ProviderSpec,
    endpoints: Endpoints,
    redirect_uri: str,
    basic: BasicCredentials,
    transport: Transport,
) -> ProviderDiagnostics:
    """Return *diagnostics* with what both endpoints answer to the portal as a client.  Takes two budgets."""
    problem, is_refusal = client_problem(
        spec=spec,
        endpoint=endpoints.token,
        method=diagnostics.auth_method or BASIC,
        redirect_uri=redirect_uri,
        basic=basic,
        transport=transport,
        budget=transport.budget(),
    )
    probe = ask_authorization(
        spec=spec,
        endpoint=endpoints.authorize,
        redirect_uri=redirect_uri,
        transport=transport,
        budget=transport.budget(),
    )
    return replace(
        diagnostics,
        client_problem=problem,
        client_refused=is_refusal,
        request_problem=probe.problem,
        callback_known=probe.callback_known,
        callback_unclear=probe.unclear,
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
) -> tuple[str | None, bool]:
    """Return the token endpoint's problem with the portal as a client, or ``None``; and whether it refuses the client.

    The request has a code that was never issued.  A provider that checks the client first (RFC 6749, section 5.2)
    reports a wrong id or secret.  If it refuses the code instead, that proves nothing: it may check the code first.
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
        return str(error), isinstance(error, ProviderMisconfigured)
    except CallbackRejected:
        return None, False
    return "the token endpoint gave a token for a code that was made up", False

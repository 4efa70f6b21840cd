"""Checks whether a provider accepts the portal as a client, without signing anyone in."""

from dataclasses import replace
from typing import Final

from portal.errors import CallbackRejected, ProviderMisconfigured, ProviderUnavailable
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import new_attempt
from portal.sign_in.providers.authorization_probe import ask_authorization
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.client_credentials import BASIC, BasicCredentials
from portal.sign_in.providers.exchange import TokenEndpoint
from portal.sign_in.providers.transport import Transport

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
    """Return *diagnostics* with what both endpoints answer to the portal as a client.  Takes two budgets.

    The request for tokens has a code that was never issued.  A provider that checks the client first (RFC 6749, section
    5.2) reports a wrong id or secret.  Refusing the code proves nothing: it may be checked first.
    """
    problem, is_refusal = None, False
    try:
        TokenEndpoint(
            spec=spec,
            url=endpoints.token,
            method=diagnostics.auth_method or BASIC,
            basic=basic,
            transport=transport,
            budget=transport.budget(),
        ).exchange(MADE_UP_CODE, new_attempt(provider=spec.id, redirect_uri=redirect_uri, return_to="/", now=0))
        problem = "the token endpoint gave a token for a code that was made up"
    except ProviderUnavailable as error:
        problem, is_refusal = str(error), isinstance(error, ProviderMisconfigured)
    except CallbackRejected:
        pass
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

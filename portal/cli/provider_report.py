"""One provider as an operator should see it: what turned it on, what it says of itself, what to register there.

No secret among it: of a client secret only whether there is one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from portal.settings import Admission, ProviderSpec, Settings
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.abilities import format_proof, format_refresh
from portal.sign_in.provider_types.scopes import requested_scopes
from portal.sign_in.provider_types.sign_out import NO_TOKEN
from portal.sign_in.providers.base import Provider, ProviderDiagnostics
from portal.sign_in.providers.diagnostics import Limitation, limitations_of, usable_algorithms
from portal.sign_in.wanted_claims import claims_read_by_settings

_KINDS: Final = ("domains", "organisations", "tenants", "groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """What there is to say of one provider."""

    spec: ProviderSpec
    diagnostics: ProviderDiagnostics
    callback: str
    """To be registered there."""
    signed_out: str
    """Where browsers come back to from signing out there; to be registered too, where it has such a place."""
    hook: str | None
    """The company's own rule, which has the last word on who comes in."""
    wanted: Mapping[str, tuple[str, ...]]
    """The claims that the configuration reads of its people, with the keys that read them."""
    sign_out: str | None
    """Where signing out goes on; ``None``: nowhere, or it could not be learned."""

    @property
    def limitations(self) -> tuple[Limitation, ...]:
        """What is missing."""
        return limitations_of(self.spec, self.diagnostics, wanted=self.wanted)

    @property
    def usable(self) -> bool:
        """Whether nothing was found that keeps everybody from signing in."""
        return not any(one.blocks for one in self.limitations)

    def to_json(self) -> dict[str, object]:
        """Return this as JSON values."""
        spec, diagnostics, provider_type = self.spec, self.diagnostics, type_of(self.spec)
        return {
            "id": spec.id,
            "label": spec.label,
            "type": spec.provider_type,
            "variables": list(spec.variables),
            "client_id": spec.client_id,
            "has_client_secret": spec.client_secret is not None,
            "issuer": None if spec.issuer_of_token else self._issuer,
            "callback": self.callback,
            "scopes": list(requested_scopes(spec)),
            "admission": {kind: sorted(getattr(spec.admission, kind)) for kind in _KINDS},
            "sign_in_hook": self.hook,
            "usable": self.usable,
            "proof": format_proof(provider_type),
            "discovery": diagnostics.discovery,
            "problem": diagnostics.problem,
            "endpoints": self._endpoints(),
            "keys": len(diagnostics.keys),
            "algorithms": sorted(usable_algorithms(spec, diagnostics)),
            "client_authentication": diagnostics.auth_method,
            "callback_registered": diagnostics.callback_known,
            "pkce": provider_type.pkce,
            "sign_out": self.sign_out,
            "sign_out_callback": None if provider_type.sign_out is None else self.signed_out,
            "refresh": format_refresh(provider_type),
            "missing": [{"what": one.what, "fix": one.fix, "blocks": one.blocks} for one in self.limitations],
        }

    def lines(self) -> Iterator[str]:
        """Yield this as lines for a terminal: what is configured, and whether it can be reached."""
        spec, provider_type = self.spec, type_of(self.spec)
        yield f"{spec.id}: {spec.label} ({spec.provider_type})"
        yield f"  turned on by   {', '.join(spec.variables) or '[[providers]] of the file'}"
        yield f"  client         {spec.client_id}, {'no secret' if spec.client_secret is None else 'with a secret'}"
        yield f"  issuer         {self._issuer}"
        yield f"  reached        {self._reached()}"
        if self.diagnostics.problem is not None:
            yield f"    {self.limitations[0].fix}"
        yield f"  callback       {self.callback}"
        yield f"  scopes         {' '.join(requested_scopes(spec)) or 'none'}"
        yield f"  comes in       {_who(spec.admission)}{', if the sign-in hook agrees' if self.hook else ''}"
        yield f"  signing out    {self._signing_out()}"
        if provider_type.sign_out is not None:
            yield f"    back to      {self.signed_out}"
        yield f"  refresh token  {format_refresh(provider_type)}"

    def details(self) -> Iterator[str]:
        """Yield lines about what it says of itself."""
        diagnostics, provider_type = self.diagnostics, type_of(self.spec)
        for name, url in self._endpoints().items():
            yield f"  {name.replace('_', ' '):<14} {url}"
        if provider_type.flow == "openid" and diagnostics.keys:
            yield f"  keys           {len(diagnostics.keys)}"
            algorithms = ", ".join(sorted(usable_algorithms(self.spec, diagnostics)))
            yield f"  ID tokens      {algorithms or 'signed in no way that is accepted'}"
        if diagnostics.auth_method is not None:
            refused = "" if diagnostics.client_problem is not None else ", not refused with a made-up code"
            yield f"  the client by  {diagnostics.auth_method}{refused}"
        if diagnostics.callback_known is not None:
            said = "is registered" if diagnostics.callback_known else "is refused, or the client is"
            yield f"  the callback   {said}"
        yield f"  PKCE           {'S256' if provider_type.pkce else 'not sent'}"

    def _endpoints(self) -> Mapping[str, str]:
        ends = self.diagnostics.endpoints
        if ends is None:
            return {}
        named = {
            "authorize": ends.authorize,
            "token": ends.token,
            "jwks": ends.jwks,
            "userinfo": ends.userinfo,
            "end_session": ends.end_session,
        }
        return {name: url for name, url in named.items() if url is not None}

    @property
    def _issuer(self) -> str:
        """The issuer that ID tokens must name."""
        if self.spec.issuer_of_token:
            return f"the user pool that ID tokens from {self.spec.issuer} name"
        return self.spec.called(self.diagnostics.issuer).issuer

    def _reached(self) -> str:
        diagnostics = self.diagnostics
        if diagnostics.problem is not None:
            return f"no: {diagnostics.problem}"
        if type_of(self.spec).flow == "oauth2":
            return "not asked: it says nothing of itself before somebody comes"
        if self.spec.issuer_of_token:
            return "not asked: which user pool it is, its ID tokens say"
        return "yes, its keys" if diagnostics.discovery is None else f"yes, {diagnostics.discovery}"

    def _signing_out(self) -> str:
        if self.sign_out is not None:
            return f"goes on at {self.sign_out}"
        if type_of(self.spec).sign_out is not None and self.diagnostics.problem is not None:
            return "not known, while it cannot be reached"
        return "ends here; the sign-in there goes on"


def report_on(provider: Provider, settings: Settings, *, trying_client: bool) -> ProviderReport:
    """Ask *provider* what it is, and return that with what the configuration says; also whether it refuses the client.

    Takes as long as one request of a browser may make the provider take, and raises nothing.
    """
    spec, signed_out = provider.spec, f"{settings.url}/signed-out"
    callback = settings.callback_of(spec)
    diagnostics = provider.diagnostics(redirect_uri=callback if trying_client else None)
    leaving = None
    if diagnostics.problem is None:
        leaving = provider.end_session_url(id_token_hint=NO_TOKEN, post_logout_redirect_uri=signed_out, state="state")
    return ProviderReport(
        spec=spec,
        diagnostics=diagnostics,
        callback=callback,
        signed_out=signed_out,
        hook=settings.sign_in_hook,
        wanted=claims_read_by_settings(settings, spec),
        sign_out=None if leaving is None else leaving.partition("?")[0],
    )


def _who(admission: Admission) -> str:
    asked = [f"{kind} {' or '.join(sorted(getattr(admission, kind)))}" for kind in _KINDS if getattr(admission, kind)]
    return f"only {', and '.join(asked)}" if asked else "whoever has an account there"

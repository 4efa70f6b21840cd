"""A report on one provider for operators: its configuration, its metadata, and what to register there.

It holds no secret: of a client secret only whether there is one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from portal.cli.messages import duration
from portal.settings import Admission, ProviderSpec, Settings
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.abilities import format_proof, format_refresh
from portal.sign_in.provider_types.scopes import refresh_scopes, requested_scopes
from portal.sign_in.provider_types.sign_out import NO_TOKEN
from portal.sign_in.providers.base import Provider, ProviderDiagnostics
from portal.sign_in.providers.diagnostics import Limitation, limitations_of, usable_algorithms
from portal.sign_in.wanted_claims import claims_read_by_settings

_CHANNELS: Final = MappingProxyType({"back_channel": "back-channel", "front_channel": "in frames"})
_KINDS: Final = ("domains", "organisations", "tenants", "groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """The configuration and the diagnostics of one provider."""

    spec: ProviderSpec
    diagnostics: ProviderDiagnostics
    callback: str
    """To register at the provider."""
    signed_out: str
    """Where browsers return to from the provider's sign-out; to register too, if the provider has a field for it."""
    hook: str | None
    """The sign-in hook, which has the last word on who may sign in."""
    wanted: Mapping[str, tuple[str, ...]]
    """The claims that the configuration reads, with the keys that read them."""
    sign_out: str | None
    """Where sign-out continues; ``None``: nowhere, or it is not known."""
    logout: Mapping[str, str] | None
    """Where it reports its own logouts, to register there; ``None``: it cannot."""
    refresh: str
    """Whether and how people's claims are read again, and how long a sign-in lasts else."""

    @property
    def limitations(self) -> tuple[Limitation, ...]:
        """What is wrong, the worst first."""
        return limitations_of(self.spec, self.diagnostics, wanted=self.wanted)

    @property
    def usable(self) -> bool:
        """Whether people can sign in, as far as the diagnostics show."""
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
            "scopes": list(self._scopes),
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
            "logout": None if self.logout is None else dict(self.logout),
            "refresh": format_refresh(provider_type) if spec.refresh else None,
            "missing": [{"what": one.what, "fix": one.fix, "blocks": one.blocks} for one in self.limitations],
        }

    def lines(self) -> Iterator[str]:
        """Yield lines about its configuration, and whether it answers."""
        spec, provider_type = self.spec, type_of(self.spec)
        yield f"{spec.id}: {spec.label} ({spec.provider_type})"
        yield f"  configured by  {', '.join(spec.variables) or '[[providers]] in the file'}"
        yield f"  client         {spec.client_id}, {'no secret' if spec.client_secret is None else 'with a secret'}"
        yield f"  issuer         {self._issuer}"
        yield f"  answers        {self._answers()}"
        if self.diagnostics.problem is not None:
            yield f"    {self.limitations[0].fix}"
        yield f"  callback       {self.callback}"
        yield f"  scopes         {' '.join(self._scopes) or 'none'}"
        yield f"  admits         {_who(spec.admission)}{', if the sign-in hook agrees' if self.hook else ''}"
        yield f"  sign-out       {self._sign_out()}"
        if provider_type.sign_out is not None:
            yield f"    then to      {self.signed_out}"
        yield from self._logouts()
        yield f"  claims         {self.refresh}"

    def _logouts(self) -> Iterator[str]:
        """Yield lines about where the provider reports that a person has signed out there."""
        if self.logout is None:
            yield "  its logouts    do not reach the portal"
            return
        these = "one of these" if len(self.logout) > 1 else "this"
        yield f"  its logouts    reach the portal if {these} is registered there:"
        for number, (channel, address) in enumerate(self.logout.items()):
            yield f"    {('or ' if number else '') + _CHANNELS[channel]:<12} {address}"

    def details(self) -> Iterator[str]:
        """Yield lines about its metadata, and what it made of the test requests."""
        diagnostics, provider_type = self.diagnostics, type_of(self.spec)
        for name, url in self._endpoints().items():
            yield f"  {name.replace('_', ' '):<14} {url}"
        if provider_type.flow == "openid" and diagnostics.keys:
            yield f"  keys           {len(diagnostics.keys)}"
            algorithms = ", ".join(sorted(usable_algorithms(self.spec, diagnostics)))
            yield f"  ID tokens      {algorithms or 'no algorithm that the portal accepts'}"
        if diagnostics.auth_method is not None:
            accepted = "" if diagnostics.client_problem is not None else ", accepted in a test with an invalid code"
            yield f"  client auth    {diagnostics.auth_method}{accepted}"
        if diagnostics.callback_known is not None:
            status = "is registered" if diagnostics.callback_known else "is refused, or the client is"
            yield f"  the callback   {status}"
        yield f"  PKCE           {'S256' if provider_type.pkce else 'not sent'}"

    def _endpoints(self) -> Mapping[str, str]:
        endpoints = self.diagnostics.endpoints
        if endpoints is None:
            return {}
        urls = {name: getattr(endpoints, name) for name in ("authorize", "token", "jwks", "userinfo", "end_session")}
        return {name: url for name, url in urls.items() if url is not None}

    @property
    def _scopes(self) -> tuple[str, ...]:
        return (*requested_scopes(self.spec), *refresh_scopes(self.spec, offered=self.diagnostics.scopes))

    @property
    def _issuer(self) -> str:
        """The issuer that ID tokens must name."""
        if self.spec.issuer_of_token:
            return f"the user pool in the ID tokens of {self.spec.issuer}"
        return self.spec.with_issuer(self.diagnostics.issuer).issuer

    def _answers(self) -> str:
        diagnostics = self.diagnostics
        if diagnostics.problem is not None:
            return f"no: {diagnostics.problem}"
        if type_of(self.spec).flow == "oauth2":
            return "not tested: it has no metadata"
        if self.spec.issuer_of_token:
            return "not tested: only its ID tokens name the user pool"
        return "yes, with its keys" if diagnostics.discovery is None else f"yes, {diagnostics.discovery}"

    def _sign_out(self) -> str:
        if self.sign_out is not None:
            return f"continues at {self.sign_out}"
        if type_of(self.spec).sign_out is not None and self.diagnostics.problem is not None:
            return "not known while it does not answer"
        return "at the portal only; the provider's session goes on"


def report_on(provider: Provider, settings: Settings, *, trying_client: bool) -> ProviderReport:
    """Return the report on *provider*, which is asked for its metadata, and with *trying_client* also tested.

    It takes at most the provider's time for one request of a browser, and raises nothing.
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
        logout=_logout_addresses(spec, settings),
        refresh=describe_refresh(spec, settings),
    )


def _logout_addresses(spec: ProviderSpec, settings: Settings) -> Mapping[str, str] | None:
    logout = type_of(spec).logout
    addresses = {
        "back_channel": settings.back_channel_logout_of(spec) if logout.back_channel else None,
        "front_channel": settings.front_channel_logout_of(spec) if logout.front_channel else None,
    }
    return {channel: address for channel, address in addresses.items() if address is not None} or None


def describe_refresh(spec: ProviderSpec, settings: Settings) -> str:
    """Return whether and how people's claims are read again while they are signed in with *spec*."""
    longest = duration(min(settings.lifetime_without_refresh, settings.absolute_lifetime))
    if not spec.refresh:
        return f"as of sign-in, which ends after {longest}"
    again, source = f"read again every {duration(settings.refresh_interval)}", format_refresh(type_of(spec))
    if type_of(spec).refresh.by_access_token:
        return f"{again}, from {source}"
    return f"{again}, with {source}; a sign-in without one ends after {longest}"


def _who(admission: Admission) -> str:
    rules = [f"{kind} {' or '.join(sorted(getattr(admission, kind)))}" for kind in _KINDS if getattr(admission, kind)]
    return f"only {', and '.join(rules)}" if rules else "everyone with an account there"

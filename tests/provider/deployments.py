"""A portal with one provider that variables turned on, and a browser at it."""

from collections.abc import Mapping
from pathlib import Path

from portal.configuration import load
from portal.rules.identity import Identity
from portal.settings import ProviderSpec
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.provider.browser import Browser, Portal, link_to_provider

URL = "http://portal.demo.localhost:7800"
PATIENT = Limits(read=60, total=60)


def configured(folder: Path, environ: Mapping[str, str], text: str = "") -> ProviderSpec:
    """Return the provider that *environ*, in Chainlit's variables, and the file *text* configure."""
    file = folder / "portal.toml"
    file.write_text(text, encoding="utf-8")
    secret_key = {"PORTAL_SECRET_KEY": "zB1k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p"}
    settings = load({**secret_key, "CHAINLIT_URL": URL, **environ}, path=file)
    (spec,) = settings.providers
    return spec


class Deployment:
    """A portal with one OpenID Connect provider, and a browser at it."""

    def __init__(self, folder: Path, spec: ProviderSpec) -> None:
        self.spec = spec
        self.portal = Portal(folder / "data", url=URL, providers=(spec,))
        self.portal.providers[spec.id] = CodeFlow(spec, limits=PATIENT)
        self.browser = Browser(self.portal)

    def begin(self) -> str:
        """Press the button; return where the browser is sent."""
        return self.browser.begin(f"/auth/oauth/{self.spec.id}")

    def identity(self, tenant: str = "") -> Identity:
        """Return who is signed in, in *tenant*."""
        sign_ins = self.portal.services.sign_ins.of_tenant(tenant, issuer=self.spec.issuer, now=self.portal.now)
        (sign_in,) = sign_ins
        return sign_in.identity

    def leave(self) -> str | None:
        """Sign out; return where the browser is sent at the provider, ``None`` if it is not sent there."""
        page = self.browser.sign_out()
        return None if page.status_code == 303 else link_to_provider(page)

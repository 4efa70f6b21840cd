"""The client's id and secret in HTTP Basic, as RFC 6749, section 2.3.1, requires, and as some providers read them."""

from base64 import b64encode
from typing import Final
from urllib.parse import quote_plus

from portal.settings import ProviderSpec

BASIC: Final = "client_secret_basic"


class BasicCredentials:
    """The ``Authorization`` header for one provider's token endpoint.  Safe to share between threads.

    The standard form-encodes id and secret before they are joined.  Some providers do not decode them.  If that makes
    a difference, there are two spellings to try; the one that was accepted before comes first.
    """

    def __init__(self, spec: ProviderSpec) -> None:
        secret = "" if spec.client_secret is None else spec.client_secret.reveal()
        encoded = _basic(quote_plus(spec.client_id), quote_plus(secret))
        self._spellings = tuple(dict.fromkeys((encoded, _basic(spec.client_id, secret))))

    def __repr__(self) -> str:
        return f"BasicCredentials({len(self._spellings)} spellings)"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The values of the header, the likelier first; one if both are the same."""
        return self._spellings

    def prefer(self, spelling: str) -> None:
        """Try *spelling* first from now on: the provider accepted it."""
        if spelling != self._spellings[0]:
            self._spellings = (spelling, *(one for one in self._spellings if one != spelling))


def _basic(client_id: str, secret: str) -> str:
    return f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode('ascii')}"

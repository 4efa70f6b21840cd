"""What provider types ask for, read from wherever it is said: the one way from options to a provider's place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from portal.configuration.addresses import AddressProblem, normalised, problem_of
from portal.configuration.expressions import problem_of_expression
from portal.sign_in.claims.values import compared
from portal.sign_in.provider_types.base import Option, ProviderLocation, ProviderType, UnusableOption, is_document


class Source(Protocol):
    """Where options are said: a table of the file, or variables."""

    def said(self, option: Option) -> str | None:
        """Return what is said for *option*, or ``None``."""

    def missing(self, option: Option) -> None:
        """Note that *option* is required and not said."""

    def problem(self, key: str, what: str, fix: str) -> None:
        """Note a problem with the option called *key*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A provider's place, and what its provider type was told besides the issuer."""

    place: ProviderLocation
    options: Mapping[str, str]


def locate(provider_type: ProviderType, source: Source, *, client_id: str | None) -> Located | None:
    """Return where the provider of *provider_type* is; ``None`` after noting why that cannot be said."""
    options: dict[str, str] = {}
    sound = client_id is not None
    for option in provider_type.options:
        said = source.said(option)
        if said is None:
            if option.required:
                source.missing(option)
                sound = False
            continue
        value = _read(option, said)
        if isinstance(value, AddressProblem):
            source.problem(option.key, *value)
            sound = False
        else:
            options[option.key] = value
    if not sound or client_id is None:
        return None
    try:
        place = provider_type.locate({**options, "client_id": client_id})
    except UnusableOption as error:
        source.problem(error.key, error.what, error.fix)
        return None
    issuers = {option.key for option in provider_type.options if option.form == "issuer"}
    return Located(place=place, options={key: value for key, value in options.items() if key not in issuers})


def _read(option: Option, said: str) -> str | AddressProblem:
    match option.form:
        case "text":
            return said
        case "base":
            # Chainlit wants a host, and its own documentation shows a URL: both are understood.
            url = said if "://" in said else f"https://{said}"
            return problem_of(url, path="plain") or normalised(url)
        case "endpoint":
            return problem_of(said, path="any", query=True) or said
        case "expression":
            problem = problem_of_expression(compared(said))
            return compared(said) if problem is None else AddressProblem(*problem)
        case "issuer":
            return problem_of(said, path="any", query=is_document(said)) or said

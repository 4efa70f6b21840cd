"""Reads the options of a provider type, from the file or from variables, and locates the provider by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from portal.configuration.addresses import AddressProblem, normalised, problem_of
from portal.configuration.expressions import problem_of_expression
from portal.sign_in.claims.values import compared
from portal.sign_in.provider_types.base import Option, ProviderLocation, ProviderType, UnusableOption, is_document


class OptionSource(Protocol):
    """The source of options: a table of the file, or variables."""

    def value_of(self, option: Option) -> str | None:
        """Return the text of *option*, or ``None``."""

    def missing(self, option: Option) -> None:
        """Note that *option* is required and missing."""

    def problem(self, key: str, what: str, fix: str) -> None:
        """Note a problem with the option called *key*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A provider's location, and the options of its type without the issuer."""

    place: ProviderLocation
    options: Mapping[str, str]


def locate(provider_type: ProviderType, source: OptionSource, *, client_id: str | None) -> Located | None:
    """Return the location of a provider of *provider_type*; ``None`` after noting what is wrong."""
    options: dict[str, str] = {}
    sound = client_id is not None
    for option in provider_type.options:
        text = source.value_of(option)
        if text is None:
            if option.required:
                source.missing(option)
                sound = False
            continue
        value = _read(option, text)
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


def _read(option: Option, text: str) -> str | AddressProblem:
    match option.form:
        case "text":
            return text
        case "base":
            # Chainlit wants a host, and its own documentation shows a URL: both are understood.
            url = text if "://" in text else f"https://{text}"
            return problem_of(url, path="plain") or normalised(url)
        case "endpoint":
            return problem_of(text, path="any", query=True) or text
        case "expression":
            problem = problem_of_expression(compared(text))
            return compared(text) if problem is None else AddressProblem(*problem)
        case "issuer":
            return problem_of(text, path="any", query=is_document(text)) or text

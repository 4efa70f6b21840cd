"""Providers that variables of their own turn on, by the names of Chainlit: ``OAUTH_GITHUB_CLIENT_ID`` and the like."""

from collections.abc import Collection
from typing import Final

from portal.configuration.environment import Variables
from portal.configuration.prompts import PROMPT, prompt_params
from portal.configuration.provider_tables import problem_of_scopes
from portal.configuration.provider_type_options import locate
from portal.configuration.provider_variables import GENERIC, SHARED, TUTORIAL
from portal.configuration.report import Report
from portal.errors import closest
from portal.settings import Admission, ProviderSpec, Secret
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.base import Option, ProviderType

_NEAR: Final = 0.8
_PREFIXES: Final = ("OAUTH_", "OPENID_")
_SHARED: Final = frozenset(one.name for one in (*SHARED, PROMPT) if one.name.startswith(_PREFIXES))
_VERY_NEAR: Final = 0.92
"""How alike two names must be (difflib): OAUTH_GITHUB_TOKEN and OAUTH_GITHUB_TOKEN_URL are less than this."""


def read_providers_by_type(
    variables: Variables, *, used_by_file: Collection[str], report: Report
) -> tuple[ProviderSpec, ...]:
    """Return the providers that variables turn on; *used_by_file* are variables that the file uses."""
    specs: list[ProviderSpec] = []
    for provider_type in PROVIDER_TYPES.values():
        names = [
            name for name in provider_type.own_variables() if variables.mentions(name) and name not in used_by_file
        ]
        if names:
            spec = _spec(provider_type, variables, names=tuple(names), report=report)
            if spec is not None:
                specs.append(spec)
    return tuple(specs)


def types_mentioned(variables: Variables) -> frozenset[str]:
    """Return the ids of the provider types that have variables, with problems or not."""
    return frozenset(one.id for one in PROVIDER_TYPES.values() if any(map(variables.mentions, one.own_variables())))


def variables_of_types() -> frozenset[str]:
    """Return every variable of one provider type alone."""
    return frozenset(name for one in PROVIDER_TYPES.values() for name in one.own_variables())


def check_misspelt_for_types(variables: Variables, *, used: Collection[str], report: Report) -> None:
    """Note unknown variables that are meant for a provider; *used* are those that the file uses.

    A setting must not be ignored silently.  If no variable turns the provider on, only names that differ in a
    letter or two count: others may belong to another program.
    """
    on = types_mentioned(variables)
    provider_types = {f"{one.variables}_": one for one in PROVIDER_TYPES.values() if one.variables is not None}
    known = set(variables_of_types())
    known |= {f"{one.client_secret_variable}_FILE" for one in provider_types.values()}
    for name in sorted(variables.names() - known):
        plain = name.removesuffix("_FILE")
        prefix = max((one for one in provider_types if name.startswith(one)), key=len, default=None)
        # A name that ends in _PROMPT may belong to any provider, and has a check of its own.
        if not {name, plain}.isdisjoint(used) or name.endswith("_PROMPT"):
            continue
        if prefix is None:
            _check_without_prefix(name, plain, known=known, variables=variables, report=report)
            continue
        if plain in known:
            fix = f"Only secrets are read from files: set {plain}."
        else:
            provider_type = provider_types[prefix]
            near = closest(plain, known, cutoff=_NEAR if provider_type.id in on else _VERY_NEAR)
            if near is None and provider_type.id not in on:
                continue
            own = ", ".join(sorted(provider_type.own_variables()))
            fix = f"{provider_type.label} has {own}." if near is None else f"Did you mean {near}?"
        report.environment(name, "is not a variable of the portal.", fix)


def _check_without_prefix(name: str, plain: str, *, known: set[str], variables: Variables, report: Report) -> None:
    """Note the variable *name*, without the prefix of a type, if it is nearly a variable of any provider."""
    if not name.startswith(_PREFIXES) or name in _SHARED or _is_secret_file(name, plain):
        return
    if plain in _SHARED | known:
        report.environment(name, "is not a variable of the portal.", f"Only secrets are read from files: set {plain}.")
        return
    near = closest(plain, known | _SHARED, cutoff=_VERY_NEAR)
    if near is None and any(variables.get(one) is not None for one in (GENERIC, TUTORIAL)):
        word = plain.split("_")[1]
        alike = [one for one in _SHARED if one.split("_")[1].rstrip("S") == word.rstrip("S")]
        near = alike[0] if len(alike) == 1 else None
    if near is not None:
        report.environment(name, "is not a variable of the portal.", f"Did you mean {near}?")


def _is_secret_file(name: str, plain: str) -> bool:
    return name != plain and plain.endswith("_CLIENT_SECRET") and plain in _SHARED


class _VariableOptions:
    """The options of one provider type in its variables."""

    def __init__(self, provider_type: ProviderType, variables: Variables, *, because: str, report: Report) -> None:
        self._provider_type = provider_type
        self._variables = variables
        self._because = because
        self._report = report

    def value_of(self, option: Option) -> str | None:
        return None if option.variable is None else self._variables.get(option.variable)

    def missing(self, option: Option) -> None:
        self.not_set(option.variable or option.key)

    def problem(self, key: str, what: str, fix: str) -> None:
        variable = next((one.variable for one in self._provider_type.options if one.key == key), None)
        self._report.environment(variable or self._because, what, fix)

    def not_set(self, name: str) -> None:
        option = next((one for one in self._provider_type.options if one.variable == name), None)
        line = f"{name}=…" if option is None else f"{name}={option.example}"
        meaning = "" if option is None else f" ({option.meaning.rstrip('.')})"
        self._report.environment(
            name,
            f"is not set, and {self._provider_type.label}, which {self._because} turns on, needs it.",
            f"Add the line {line}{meaning}, or unset {self._because}.",
        )


def _spec(
    provider_type: ProviderType, variables: Variables, *, names: tuple[str, ...], report: Report
) -> ProviderSpec | None:
    options = _VariableOptions(provider_type, variables, because=names[0], report=report)
    client_id = variables.get(provider_type.client_id_variable)
    if client_id is None:
        options.not_set(provider_type.client_id_variable)
    if not variables.mentions(provider_type.client_secret_variable):
        options.not_set(provider_type.client_secret_variable)
    secret = variables.secret(provider_type.client_secret_variable)
    scopes = _scopes(provider_type, variables, options=options, report=report)
    provider_id, label, chainlit_id = _name(provider_type, variables)
    located = locate(provider_type, options, client_id=client_id)
    if located is None or client_id is None or secret is None:
        return None
    place = located.place
    return ProviderSpec(
        id=provider_id,
        label=label,
        provider_type=provider_type.id,
        issuer=place.issuer,
        issuer_of_token=place.issuer_of_token,
        client_id=client_id,
        client_secret=Secret(secret),
        scopes=scopes or (*provider_type.scopes, *place.scopes),
        discovery=place.discovery,
        endpoints=place.endpoints,
        chainlit_id=chainlit_id,
        token_endpoint_auth_method=provider_type.token_endpoint_auth_method,
        authorize_params=(
            *provider_type.authorize_params,
            *place.authorize_params,
            *prompt_params(provider_id, provider_type, written=None, variables=variables),
        ),
        options=located.options,
        admission=Admission(tenants=place.tenants),
        variables=names,
    )


def _scopes(
    provider_type: ProviderType, variables: Variables, *, options: _VariableOptions, report: Report
) -> tuple[str, ...] | None:
    name = provider_type.scopes_variable
    scopes = None if name is None else variables.words(name)
    if name is None or scopes is None:
        if name is not None and provider_type.scopes_required:
            options.not_set(name)
        return None
    problem = problem_of_scopes((*provider_type.always_scopes, *scopes), flow=provider_type.flow)
    if problem is not None:
        report.environment(name, *problem)
    return scopes


def _name(provider_type: ProviderType, variables: Variables) -> tuple[str, str, str | None]:
    """Return id, label, and Chainlit's id if that is not an id here; a variable that renames the provider sets all."""
    name = None if provider_type.name_variable is None else variables.get(provider_type.name_variable)
    if provider_type.name_variable is None or name is None:
        return provider_type.id, provider_type.label, None
    slug = variables.slug(provider_type.name_variable, default=provider_type.id)
    return slug, name, None if name == slug else name

"""Calls the hook for sign-in admission, and logs its errors without the tokens."""

import logging
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Final

from portal.contract.redaction import redact
from portal.contract.truncation import quoted
from portal.rules.identity import Identity
from portal.settings import ProviderSpec
from portal.sign_in.admission import Arrival, Hook
from portal.sign_in.hook.chainlit import user_class
from portal.sign_in.hook.invocation import HookCaller
from portal.sign_in.hook.loading import HookFunction
from portal.sign_in.hook.translation import HookAnswer, default_user, raw_user_data, read_answer

_LOGGER: Final = logging.getLogger("portal.hook")
_MOST_NAMES: Final = 10


def hook_of(
    loaded: HookFunction,
    *,
    providers: Callable[[str], ProviderSpec | None],
    roles: Collection[str],
    caller: HookCaller | None = None,
) -> Hook:
    """Return *loaded* as a hook; *roles* are the names it may give."""
    calls = caller or HookCaller()

    def hook(arrival: Arrival) -> Identity | None:
        try:
            answer = _call_hook(loaded, arrival, providers=providers, roles=roles, caller=calls)
        except BaseException as error:
            _log_failure(error, arrival)
            if isinstance(error, Exception):
                raise
            raise RuntimeError(
                f"the sign-in hook raised {type(error).__name__}"
            ) from error  # sys.exit() must not end the process
        if answer is None:
            return None
        _log_ignored("roles that portal.toml does not name", answer.unknown)
        _log_ignored("roles in tenants that are not the person's", answer.foreign)
        return answer.identity

    return hook


def _call_hook(
    loaded: HookFunction,
    arrival: Arrival,
    *,
    providers: Callable[[str], ProviderSpec | None],
    roles: Collection[str],
    caller: HookCaller,
) -> HookAnswer | None:
    spec = providers(arrival.identity.provider)
    if spec is None:
        raise LookupError("the provider is not configured")
    arguments = (
        spec.chainlit_id or spec.id,
        arrival.access_token,
        raw_user_data(arrival, spec=spec),
        default_user(arrival, spec=spec, make=user_class()),
        arrival.id_token,
    )
    returned = caller.call(loaded.function, arguments[: loaded.takes])
    return None if returned is None else read_answer(returned, identity=arrival.identity, roles=roles)


def _log_failure(error: BaseException, arrival: Arrival) -> None:
    """Log the traceback without the tokens, which an exception's text may hold."""
    hidden = (arrival.access_token, arrival.id_token or "")
    fields: Mapping[str, object] = {"exception": redact("".join(traceback.format_exception(error)), hidden=hidden)}
    _LOGGER.error("the sign-in hook failed: %s", type(error).__name__, extra={"fields": fields})


def _log_ignored(what: str, names: Collection[str]) -> None:
    if names:
        listed = ", ".join(map(quoted, sorted(names)[:_MOST_NAMES]))
        beyond = len(names) - _MOST_NAMES
        _LOGGER.warning("the sign-in hook gave %s: %s%s", what, listed, f" and {beyond} more" if beyond > 0 else "")

"""What a provider shows at each sign-in (``prompt``): from the file, or from Chainlit's variables, which win."""

import re
from collections.abc import Iterable
from typing import Final

from portal.configuration.declaration import Variable
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.errors import choices, closest
from portal.sign_in.provider_types.base import PROMPTS, ProviderType, prompt_variable

PROMPT: Final = Variable("OAUTH_PROMPT", "each provider decides", "select_account")
"""prompt of every provider that honours it: none, login, consent or select_account. OAUTH_<ID>_PROMPT is for one
provider alone and wins: the provider's id in capitals, with _ for -."""
_ONE: Final = re.compile(r"OAUTH_[A-Z0-9_]+_PROMPT")


def prompt_params(
    provider_id: str, provider_type: ProviderType, *, written: str | None, variables: Variables
) -> tuple[tuple[str, str], ...]:
    """Return the parameter for the provider *provider_id*; nothing if no setting has it.

    Its own variable wins over *written*, which is from the file.  The variable for all providers counts last, and
    only if the provider type honours it.
    """
    of_all = set((variables.get(PROMPT.name) or "").split())
    general = " ".join(sorted(of_all)) if of_all and of_all <= provider_type.prompts else None
    prompt = variables.get(prompt_variable(provider_id)) or written or general
    return () if prompt is None else (("prompt", prompt),)


def check_prompts(variables: Variables, *, provider_ids: Iterable[str], report: Report) -> None:
    """Note unknown values, and variables of unknown providers."""
    known = {prompt_variable(one): one for one in provider_ids}
    for name in sorted(variables.names()):
        if name != PROMPT.name and not _ONE.fullmatch(name):
            continue
        words = (variables.get(name) or "").split()
        if not set(words) <= PROMPTS or ("none" in words and len(words) > 1):
            report.environment(name, "is not a prompt that providers know.", choices(" ".join(words), PROMPTS))
        if name != PROMPT.name and name not in known:
            near = closest(name, known)
            fix = f"Did you mean {near}?" if near is not None else f"Known: {', '.join(sorted(known)) or 'none'}."
            report.environment(name, "does not belong to a configured provider.", fix)

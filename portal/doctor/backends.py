"""Judging what is behind the portal: providers, pushes, the data folder, its keys.  Pure."""

from typing import Final

from portal.doctor.findings import PORTAL, Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, Unreached
from portal.settings import ProviderSpec
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.diagnostics import fix_for_issuer, shortcomings_of

SCARCE: Final = 1 << 30
"""Bytes of room in the data folder below which it is worth a word."""
NONE: Final = 64 << 20
"""Bytes below which writing is about to fail."""
_MB: Final = 1000**2


def judge_provider(spec: ProviderSpec, callback: str, diagnostics: ProviderDiagnostics) -> Finding:
    """Return whether the provider *spec* can be used, by what it says of itself."""
    if diagnostics.problem is not None:
        return problem(
            PORTAL,
            Check.PROVIDER,
            f"{spec.label} ({spec.issuer}) cannot be used: {diagnostics.problem}.",
            fix_for_issuer(spec, diagnostics)
            or "Check the issuer, and the way out: HTTPS_PROXY and NO_PROXY for an outbound proxy, portal.ca_file for "
            "an authority of your company's. Nobody can sign in there until it answers.",
        )
    blocking = next((one for one in shortcomings_of(spec, diagnostics) if one.blocks), None)
    if blocking is not None:
        said = f"{spec.label} ({spec.issuer}) lets nobody in: {blocking.what.removesuffix('.')}."
        return problem(PORTAL, Check.PROVIDER, said, blocking.fix)
    return ok(PORTAL, Check.PROVIDER, f"{spec.label} answers. Its callback must be registered there: {callback}")


def judge_push(subject: str, where: str, answer: Answer | Unreached) -> Finding:
    """Return whether the portal can tell the app at *where* that a session has ended."""
    if isinstance(answer, Answer) and answer.status == 200:  # noqa: PLR2004 - OK
        return ok(subject, Check.PUSH, f"The portal reaches its guard at {where}.")
    how = answer.how if isinstance(answer, Unreached) else f"status {answer.status}"
    return problem(
        subject,
        Check.PUSH,
        f"The portal does not reach its guard at {where} ({how}): a sign-out takes up to a minute to arrive there.",
        f"Say where the portal reaches it, apps.{subject}.internal_url; for an authority of your company's "
        "portal.ca_file.",
    )


def judge_disk(folder: str, free: int) -> Finding:
    """Return whether there is room where the database and the logs are."""
    said = f"{free / _MB:.0f} MB are free at {folder}."
    fix = "Make room: without it nobody can sign in. Logs of apps stand in logs/ there."
    if free < NONE:
        return problem(PORTAL, Check.DISK, said, fix)
    return warning(PORTAL, Check.DISK, said, fix) if free < SCARCE else ok(PORTAL, Check.DISK, said)


def judge_keys(wrong: str | None) -> Finding | None:
    """Return why nothing can be looked at from inside; ``None`` where it can."""
    if wrong is None:
        return None
    return problem(
        PORTAL,
        Check.KEYS,
        f"The portal's keys cannot be had: {wrong}. Only what strangers see was looked at.",
        "Run this where the portal runs, as its user, with its portal.toml and secret key; start the portal first.",
    )

"""Checks of what the portal uses: providers, logout notifications, the data folder, its keys.  Pure."""

from typing import Final

from portal.doctor.findings import PORTAL, Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, Unreached
from portal.settings import ProviderSpec
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.diagnostics import fix_for_issuer, limitations_of

SCARCE: Final = 1 << 30
"""Free bytes in the data folder below which there is a warning."""
NONE: Final = 64 << 20
"""Free bytes below which there is a problem: writing is about to fail."""
_MB: Final = 1000**2


def check_provider(spec: ProviderSpec, callback: str, diagnostics: ProviderDiagnostics) -> Finding:
    """Return whether the provider *spec* can be used, by its own metadata."""
    if diagnostics.problem is not None:
        return problem(
            PORTAL,
            Check.PROVIDER,
            f"{spec.label} ({spec.issuer}) cannot be used: {diagnostics.problem}.",
            fix_for_issuer(spec, diagnostics)
            or "Check the issuer and the egress settings: HTTPS_PROXY and NO_PROXY for an outbound proxy, "
            "portal.ca_file for your company's own certificate authority. Nobody can sign in there until it answers.",
        )
    blocking = next((one for one in limitations_of(spec, diagnostics) if one.blocks), None)
    if blocking is not None:
        message = f"Nobody can sign in at {spec.label} ({spec.issuer}): {blocking.what.removesuffix('.')}."
        return problem(PORTAL, Check.PROVIDER, message, blocking.fix)
    return ok(PORTAL, Check.PROVIDER, f"{spec.label} answers. This callback must be registered there: {callback}")


def check_notification(subject: str, where: str, answer: Answer | Unreached) -> Finding:
    """Return whether the portal can notify the app at *where* of the end of a session."""
    if isinstance(answer, Answer) and answer.status == 200:  # noqa: PLR2004 - OK
        return ok(subject, Check.PUSH, f"The portal reaches its guard at {where}.")
    how = answer.how if isinstance(answer, Unreached) else f"status {answer.status}"
    return problem(
        subject,
        Check.PUSH,
        f"The portal does not reach its guard at {where} ({how}): a sign-out arrives there up to a minute late.",
        f"Set apps.{subject}.internal_url to an address where the portal reaches it. For your company's own "
        "certificate authority, set portal.ca_file.",
    )


def check_disk(folder: str, free: int) -> Finding:
    """Return whether the data folder has *free* bytes enough for database and logs."""
    message = f"{free / _MB:.0f} MB are free at {folder}."
    fix = "Free disk space: without it nobody can sign in. Logs of apps are in logs/ there."
    if free < NONE:
        return problem(PORTAL, Check.DISK, message, fix)
    return warning(PORTAL, Check.DISK, message, fix) if free < SCARCE else ok(PORTAL, Check.DISK, message)


def check_keys(wrong: str | None) -> Finding | None:
    """Return why nothing can be probed with the portal's keys; ``None`` if it can."""
    if wrong is None:
        return None
    return problem(
        PORTAL,
        Check.KEYS,
        f"The portal's keys cannot be read: {wrong}. Only what anyone can see was checked.",
        "Start the portal. Then run this on its machine, as its user, with its portal.toml and secret key.",
    )

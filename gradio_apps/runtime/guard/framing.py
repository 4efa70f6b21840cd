"""Replaces an app's own rules about framing with the guard's.

An app that forbids frames, as many checklists demand, means other sites.  Behind the guard, the portal frames it, and
the guard's own ``frame-ancestors`` keeps all others out.
"""

from typing import Final

_FRAME_ANCESTORS: Final = b"frame-ancestors"
_SCRIPTS: Final = (b"script-src-elem", b"script-src", b"default-src")
"""Directives for the scripts of a page; the first that is present counts (CSP Level 3, section 6.8.3)."""
_NONCE: Final = b"'nonce-"


def without_frame_ancestors(policies: bytes) -> bytes:
    """Return a ``Content-Security-Policy`` value without ``frame-ancestors``; empty if there was nothing else.

    Policies are separated by commas, directives by semicolons (CSP Level 3, section 2.2).
    """
    if _FRAME_ANCESTORS not in policies.lower():
        return policies
    remaining = (
        b";".join(directive for directive in policy.split(b";") if _name(directive) != _FRAME_ANCESTORS).strip()
        for policy in policies.split(b",")
    )
    return b", ".join(policy for policy in remaining if policy.strip(b"; \t"))


def script_nonce(policies: bytes) -> bytes | None:
    """Return the nonce for scripts in a ``Content-Security-Policy`` value, if there is one."""
    for policy in policies.split(b","):
        directives = {_name(directive): directive.split()[1:] for directive in policy.split(b";") if directive.split()}
        allowed = next((directives[name] for name in _SCRIPTS if name in directives), [])
        for source in allowed:
            if source.lower().startswith(_NONCE) and source.endswith(b"'"):
                return source[len(_NONCE) : -1]
    return None


def _name(directive: bytes) -> bytes:
    return directive.split(maxsplit=1)[0].lower() if directive.split() else b""

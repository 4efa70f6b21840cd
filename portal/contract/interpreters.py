"""What an interpreter must have to serve an app: the one place that says so.

Read by the portal, which makes environments, and by a script that runs in an interpreter with nothing of ours
and perhaps of an older Python; so this module imports nothing and is written plainly.
"""

OLDEST_PYTHON = (3, 11)
"""Oldest Python that our code runs on."""
GRADIO = ("5.50", "6.31")
"""Minors of Gradio whose insides the host knows, oldest first; the last of 5 and the one that we bring."""
NEEDED = (
    ("joserfc", "1.8", "2"),
    ("msgspec", "0.19", "1"),
    ("starlette", "0.44", "2"),
    ("uvicorn", "0.30", "1"),
    ("httpx", "0.28", "1"),
)
"""What guard and host need besides: its name, the oldest version, and the first that is too new.

All but joserfc and msgspec come with Gradio.
"""


def minor_of(version: str) -> str:
    """Return the minor that *version* belongs to: ``6.31`` of ``6.31.2``."""
    return ".".join(version.split(".")[:2])


def is_at_least(version: str, oldest: str) -> bool:
    """Say whether *version* is *oldest* or newer, by its leading numbers; what has none is too old."""
    return _numbers(version) >= _numbers(oldest)


def _numbers(version: str) -> tuple:  # type: ignore[type-arg]  # tuple[int, ...] is no name to an old Python
    found = []
    for part in version.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        found.append(int(part))
    return tuple(found)

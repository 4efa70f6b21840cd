"""What an interpreter must have to serve an app.

The portal reads this when it makes environments.  So does a script in an interpreter that has none of our packages and
may be an older Python; so this module imports nothing and uses no new syntax.
"""

OLDEST_PYTHON = (3, 11)
"""Oldest Python that the portal runs on."""
GRADIO = ("5.50", "6.31")
"""Minors of Gradio whose internals the host knows, oldest first; the last of 5 and the portal's own."""
NEEDED = (
    ("joserfc", "1.8", "2"),
    ("msgspec", "0.19", "1"),
    ("starlette", "0.44", "2"),
    ("uvicorn", "0.30", "1"),
    ("httpx", "0.28", "1"),
)
"""Other packages that guard and host need: name, oldest version, and the first that is too new.

All but joserfc and msgspec come with Gradio, and so does PyYAML, of which any version will do.
"""


def minor_of(version: str) -> str:
    """Return the minor that *version* belongs to: ``6.31`` of ``6.31.2``."""
    return ".".join(version.split(".")[:2])


def is_at_least(version: str, oldest: str) -> bool:
    """Return whether *version* is *oldest* or newer, by its leading numbers; without one it is too old."""
    return _numbers(version) >= _numbers(oldest)


def _numbers(version: str) -> tuple:  # type: ignore[type-arg]  # an old Python does not know tuple[int, ...]
    numbers = []
    for part in version.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)

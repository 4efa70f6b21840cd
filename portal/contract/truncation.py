"""Texts cut to a length, with an ellipsis where they were cut."""


def shorten(text: str, *, longest: int) -> str:
    """Return *text*, or its beginning and an ellipsis where it has more than *longest* characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def quoted(text: object) -> str:
    """Return *text* for a log or a terminal: at most 400 characters, ASCII, in quotes, without line breaks.

    Callback parameters, headers and error texts are an attacker's to choose; they must not forge log lines.
    """
    whole = str(text)
    return ascii(whole[:400]) + ("..." if len(whole) > 400 else "")  # noqa: PLR2004 - as the docstring says

"""Texts that have to fit somewhere, and show where they go on."""


def shortened(text: str, *, longest: int) -> str:
    """Return *text*, or its beginning and an ellipsis where it has more than *longest* characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

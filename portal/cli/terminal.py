"""What others wrote, shown on a terminal."""


def plain(text: str) -> str:
    """Return *text* with control characters spelled out, but for line breaks and tabs.

    An app, or a package that is installed, must not steer the terminal its words are read in.
    """
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)

"""Where the configuration comes from, for commands that need the file itself."""

from collections.abc import Mapping
from pathlib import Path

from portal.configuration.loading import FILE_NAME, chosen_file


def configuration_file(chosen: Path | None, variables: Mapping[str, str]) -> Path:
    """Return the absolute path of the file that the settings are read from; it may not exist."""
    return Path.cwd() / (chosen_file(chosen, variables) or FILE_NAME)

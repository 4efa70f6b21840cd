"""``python -m portal.sign_in.hook.trial NAME``: load the sign-in hook, and print its problem.

The output is one JSON object: empty if there is no problem, else ``what`` and ``fix``.
"""

import json
import os
import sys

from portal.errors import SettingsError
from portal.sign_in.hook.loading import load_hook


def main() -> int:
    """Print the result, and return the exit code."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)  # the module may print, too
        verdict: dict[str, str] = {}
        try:
            load_hook(sys.argv[1])
        except SettingsError as error:
            problem = error.problems[0]
            verdict = {"what": problem.what, "fix": problem.fix}
        json.dump(verdict, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())

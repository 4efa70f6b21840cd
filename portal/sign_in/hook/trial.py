"""``python -m portal.sign_in.hook.trial NAME``: load the sign-in hook, and print what is wrong with it.

The answer is one JSON object: empty where all is well, else ``what`` and ``fix``.
"""

import json
import os
import sys

from portal.errors import SettingsError
from portal.sign_in.hook.loading import load_hook


def main() -> int:
    """Answer, and return the exit code."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)  # what the module prints is no answer
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

"""``python -m portal.cli`` is the ``portal`` command, for where its script is not on the path."""

import sys

from portal.cli import main

sys.exit(main())

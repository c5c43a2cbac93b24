"""`python -m psflow.cli`."""

import sys

from psflow.cli import app

sys.exit(app())

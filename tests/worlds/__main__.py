"""`python -m tests.worlds`: plays new worlds, and makes what does not hold small."""

from __future__ import annotations

import sys

from tests.worlds.engine import main

if __name__ == "__main__":
    sys.exit(main())

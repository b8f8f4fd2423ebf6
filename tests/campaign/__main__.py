"""`python -m tests.campaign`: the fault campaign, with a report of every failpoint, fault and invariant."""

from __future__ import annotations

import sys

from tests.campaign.engine import main

if __name__ == "__main__":
    sys.exit(main())

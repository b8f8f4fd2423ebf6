"""``python -m hpm_tools`` is `hpm`, for an environment whose programs are not on PATH."""

from __future__ import annotations

import sys

from hpm_tools.cli.hpm import main

sys.exit(main())

"""The namespace for other repositories' tasks.py: ``from hpm_tools.tasks import ns``."""

from __future__ import annotations

import sys

# `invoke` switches bytecode off before it loads a tasks.py, which makes every later start a third slower.
sys.dont_write_bytecode = False

from hpm_tools.cli.invoke_tasks import namespace  # noqa: E402

ns = namespace()

"""How to install what an optional part needs, for the Python that runs this program. Imports nothing heavy."""

from __future__ import annotations

import shlex
import sys


def install_command(*requirements: str) -> str:
    """The command that adds ``requirements`` (``apprise``, ``hpm-tools[board]``) to this environment.

    ``uv venv`` makes environments without pip.
    """
    from importlib.util import find_spec

    python, wanted = shlex.quote(sys.executable), shlex.join(requirements)
    if find_spec("pip") is None:
        return f"uv pip install --python {python} {wanted}"
    return f"{python} -m pip install {wanted}"

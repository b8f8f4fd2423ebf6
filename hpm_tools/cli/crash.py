"""What is kept of an unexpected error: a private file, without secrets."""

from __future__ import annotations

import os
import sys
import time
import traceback

import hpm_tools
from hpm_tools.errors import HpmError
from hpm_tools.in_place import open_in_place
from hpm_tools.redaction import redact
from hpm_tools.state.paths import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def write_crash_log(error: BaseException, secrets: Iterable[str]) -> str | None:
    """Write the traceback to ``crashes/`` in the state directory (0600), without ``secrets``.

    Its path, or None if that fails too.
    """
    body = "".join(traceback.format_exception(error))
    head = (
        f"hpm-tools {hpm_tools.__version__}, Python {sys.version.split()[0]} on {sys.platform}\n"
        f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{' '.join(sys.argv)}\n\n"
    )
    content = redact(head + body, secrets)
    try:
        state = StateDir()
        state.prepare(state.crashes)
        path = os.path.join(state.crashes, f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log")
        fd = open_in_place(path, os.O_WRONLY | os.O_CREAT, empty=True)
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except (OSError, HpmError):
        return None
    return path

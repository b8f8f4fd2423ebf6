"""Which `invoke` programs PATH has, and whether each can run our tasks.

Nothing of the repository is executed: an `invoke` is not started, since it would execute the tasks.py there. The Python
that its first line names is asked instead, outside the repository.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpm_tools.commands.results import InvokeProgram

NAME = "invoke"
SECONDS = 15
"""For one Python's answer, which takes a third of a second on an idle machine."""

# Understood by every Python since 2.7: a distribution's own `invoke` may be that old.
QUESTION = """
import sys
try:
    import hpm_tools.tasks
    print("yes " + hpm_tools.__version__)
except Exception:
    print("no " + " ".join(str(sys.exc_info()[1]).split()))
"""

# The first two lines where "#!" cannot hold the interpreter's path (pip and uv write it so).
LONG_PATH = re.compile(rb"""#!/bin/sh\n'''exec' (?:"([^"\n]+)"|([^"'$\s]+)) """)
START = 4096


class NotPython(Exception):
    """The program is no script of a Python that can be named."""


def own_invoke() -> str:
    """The `invoke` beside the Python that runs this; "" if there is none."""
    path = os.path.join(os.path.dirname(sys.executable), NAME)
    return path if os.access(path, os.X_OK) else ""


def programs(repository: str) -> list[InvokeProgram]:
    """Each `invoke` in PATH's order, up to the first that can run our tasks."""
    found: list[InvokeProgram] = []
    for path in _on_path():
        found.append(_asked(path, repository))
        if found[-1]["works"]:
            break
    return found


def _on_path() -> Iterator[str]:
    seen = set()
    for directory in os.get_exec_path():
        path = os.path.abspath(os.path.join(directory, NAME))
        real = os.path.realpath(path)
        if real not in seen and os.path.isfile(path) and os.access(path, os.X_OK):
            seen.add(real)
            yield path


def _asked(path: str, repository: str) -> InvokeProgram:
    try:
        argv = interpreter(path)
    except (NotPython, OSError) as error:
        return {"path": path, "works": None, "version": "", "why": str(error)}
    if _is_our_own(argv[0]):
        from hpm_tools import __version__

        return {"path": path, "works": True, "version": __version__, "why": ""}
    if any(_lies_in(repository, place) for place in (path, argv[0])):
        why = f"it belongs to {repository}, of which nothing is executed to find out"
        return {"path": path, "works": None, "version": "", "why": why}
    return _ask(path, argv)


def _ask(path: str, argv: Sequence[str]) -> InvokeProgram:
    from hpm_tools.process.capture import capture
    from hpm_tools.process.env import base_environment

    environment = base_environment(os.environ, [name for name in os.environ if name.startswith("PYTHON")])
    python = argv[0]
    try:
        answer = capture([*argv, "-c", QUESTION], cwd="/", env=environment, timeout=SECONDS, limit=1 << 16)
    except HpmError as error:
        return {"path": path, "works": None, "version": "", "why": error.message}
    lines = answer.out.decode(errors="replace").splitlines() or [""]
    word, _, rest = lines[-1].partition(" ")
    if word == "yes":
        return {"path": path, "works": True, "version": rest, "why": ""}
    why = rest if word == "no" else f"it ended with {answer.rc}"
    return {
        "path": path,
        "works": False,
        "version": "",
        "why": f"its Python, {python}, cannot import hpm_tools: {why}",
    }


def interpreter(path: str) -> list[str]:
    """The Python of a script, and the options that it is started with.

    Raises NotPython if the file names none, OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(START)
    long_path = LONG_PATH.match(start)
    if long_path is not None:
        return [os.fsdecode(long_path[1] or long_path[2])]
    line = os.fsdecode(start.partition(b"\n")[0])
    words = line[2:].split() if line.startswith("#!") else []
    if words and os.path.basename(words[0]) == "env":
        words = shlex.split(line[2:])[1:]
        words = words[1:] if words[:1] == ["-S"] else words
        words[:1] = [shutil.which(words[0]) or words[0]] if words else []
    if not words or not re.match(r"python|pypy", os.path.basename(words[0])):
        raise NotPython(
            "it is not a Python script (a shim of pyenv or asdf?): which Python it runs is not known"
        )
    return words


def _is_our_own(python: str) -> bool:
    """Whether it is the Python of the virtual environment that this runs in."""
    if sys.prefix == sys.base_prefix:
        return False
    return _place(python) == _place(sys.executable) and os.path.realpath(python) == os.path.realpath(
        sys.executable
    )


def _place(path: str) -> str:
    """The real directory of a program; what the program itself is a link to does not matter."""
    return os.path.realpath(os.path.dirname(path))


def _lies_in(repository: str, path: str) -> bool:
    inside = os.path.join(os.path.realpath(repository), "")
    return any(os.path.join(place, "").startswith(inside) for place in (_place(path), os.path.realpath(path)))

"""Which `invoke` programs PATH has, and whether each can run our tasks.

Nothing of the repository is executed. An `invoke` is not started, since it would execute the tasks.py there. The Python
that its first line names is asked where its packages are, without its site module: a .pth file, such as
`pip install -e` leaves, would make it execute a sitecustomize.py of the repository. What is there is read only.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpm_tools.commands.results import InvokeProgram

NAME = "invoke"
SECONDS = 15
"""For one Python's answer, which takes a third of a second on an idle machine."""

# With -S, importing site changes nothing and reads no .pth file; its functions only name directories. They and
# sys.prefix know nothing of a virtual environment then (before Python 3.14), so its pyvenv.cfg is looked for here.
QUESTION = """
import json, os, site, sys
def packages(prefix, exec_prefix):
    sys.prefix, sys.exec_prefix = prefix, exec_prefix
    return site.getsitepackages([prefix, exec_prefix])
found, system = [], True
here = os.path.dirname(os.path.abspath(sys.executable))
for directory in (here, os.path.dirname(here)):
    path = os.path.join(directory, "pyvenv.cfg")
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            lines = [line.lower().replace(" ", "").strip() for line in file]
        system = "include-system-site-packages=true" in lines
        found = packages(os.path.dirname(here), os.path.dirname(here))
        break
if system:
    found.append(site.getusersitepackages())
    found += packages(sys.base_prefix, sys.base_exec_prefix)
print(json.dumps([list(sys.version_info[:2]), found]))
"""
NEEDED = (3, 11)
"""The oldest Python that runs hpm-tools, as in pyproject.toml."""

HARMLESS = re.compile(r"-[bBdEIOPqsSuv]+")
"""Options of Python that start nothing."""

# The first two lines where "#!" cannot hold the interpreter's path: pip writes it bare or in double quotes, uv in single.
LONG_PATH = re.compile(rb"""#!/bin/sh\n'''exec' (?:"([^"\n]+)"|'([^'\n]+)'|([^"'$\s]+)) """)
START = 4096
LONGEST = 1 << 20


class NotPython(Exception):
    """The program is no script of a Python that can be named."""


def own_invoke() -> str:
    """The `invoke` beside the Python that runs this; "" if there is none."""
    path = os.path.join(os.path.dirname(sys.executable), NAME)
    return path if os.access(path, os.X_OK) else ""


def programs(places: Sequence[str]) -> list[InvokeProgram]:
    """Each `invoke` in PATH's order, up to the first that can run our tasks.

    ``places`` are the directories of the repository: its main worktree first, then the others, wherever they are.
    """
    found: list[InvokeProgram] = []
    for path in _on_path():
        found.append(_asked(path, places))
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


def _asked(path: str, places: Sequence[str]) -> InvokeProgram:
    try:
        argv = interpreter(path)
    except (NotPython, OSError) as error:
        return {"path": path, "works": None, "version": "", "why": str(error)}
    if _is_our_own(argv[0]):
        from hpm_tools import __version__

        return {"path": path, "works": True, "version": __version__, "why": ""}
    if any(_lies_in(places, part) for part in (path, argv[0], _home(argv[0]))):
        why = f"it belongs to {places[0]}, of which nothing is executed to find out"
        return {"path": path, "works": None, "version": "", "why": why}
    return _ask(path, argv[0], places)


def _ask(path: str, python: str, places: Sequence[str]) -> InvokeProgram:
    try:
        version, directories = _packages_of(python)
        if version < NEEDED:
            raise _HasNone(f"is {version[0]}.{version[1]}; hpm-tools needs {NEEDED[0]}.{NEEDED[1]}")
        package = _installed(directories, places[0])
    except _HasNone as error:
        return {"path": path, "works": False, "version": "", "why": f"its Python, {python}, {error}"}
    except (HpmError, OSError, ValueError) as error:
        why = f"where its Python, {python}, has its packages is not known: {error}"
        return {"path": path, "works": None, "version": "", "why": why}
    if _lies_in(places, package):
        why = f"the hpm_tools of its Python, {python}, belongs to {places[0]}, of which nothing is executed"
        return {"path": path, "works": None, "version": "", "why": why}
    return {"path": path, "works": True, "version": _version(package), "why": ""}


class _HasNone(Exception):
    """The Python cannot import hpm_tools."""


def _packages_of(python: str) -> tuple[tuple[int, ...], list[str]]:
    """A Python's version, and the directories of its packages. HpmError or ValueError if it does not say."""
    from hpm_tools.process.capture import capture
    from hpm_tools.process.env import base_environment

    environment = base_environment(os.environ)
    argv = [python, "-I", "-S", "-c", QUESTION]
    answer = capture(argv, cwd="/", env=environment, timeout=SECONDS, limit=1 << 16)
    try:
        version, directories = json.loads(answer.out)
        return tuple(map(int, version)), list(map(str, directories))
    except (ValueError, TypeError):
        raise ValueError(f"it ended with {answer.rc}") from None


def _installed(directories: Sequence[str], repository: str) -> str:
    """The directory of the hpm_tools that is imported; _HasNone if there is none, ValueError if that is not known."""
    given = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    searched = [os.path.join(repository, place) for place in given]
    unknown = ""
    for directory in directories:
        searched.append(directory)
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        for name in names:
            if name.endswith(".pth"):
                searched += _named_in(directory, name)
            elif re.fullmatch(r"hpm_tools-.*\.dist-info", name):
                unknown = os.path.join(directory, name)
    for place in searched:
        package = os.path.join(place, "hpm_tools")
        if os.path.isfile(os.path.join(package, "__init__.py")):
            return package
    if unknown:
        raise ValueError(f"{unknown} is there, but no hpm_tools that could be found by reading")
    raise _HasNone("has no hpm_tools")


def _named_in(directory: str, name: str) -> list[str]:
    """The directories that a .pth file adds; its lines of code are left out."""
    text = _read(os.path.join(directory, name))
    lines = [line.strip() for line in text.splitlines() if not line.startswith(("#", "import ", "import\t"))]
    return [os.path.join(directory, line) for line in lines if line]


def _version(package: str) -> str:
    found = re.search(
        r"""^__version__ = ["']([^"']+)""", _read(os.path.join(package, "__init__.py")), re.MULTILINE
    )
    return found[1] if found else ""


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST)


def interpreter(path: str) -> list[str]:
    """The Python of a script, and the options that it is started with.

    Raises NotPython if the file names none, OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(START)
    long_path = LONG_PATH.match(start)
    if long_path is not None:
        return [os.fsdecode(next(filter(None, long_path.groups())))]
    line = os.fsdecode(start.partition(b"\n")[0])
    words = line[2:].split() if line.startswith("#!") else []
    if words and os.path.basename(words[0]) == "env":
        words = _given_to_env(line[2:])
    if not words or not re.match(r"python|pypy", os.path.basename(words[0])):
        raise NotPython(
            "it is not a Python script (a shim of pyenv or asdf?): which Python it runs is not known"
        )
    started = [word for word in words[1:] if not HARMLESS.fullmatch(word)]
    if started:
        raise NotPython(f"its first line gives Python more than options: {' '.join(started)}")
    return words


def _given_to_env(line: str) -> list[str]:
    """The words that `env` would start, the program with its path. NotPython if there is no such program."""
    try:
        words = shlex.split(line)[1:]
    except ValueError as error:
        raise NotPython(f"its first line cannot be read: {error}") from None
    words = words[1:] if words[:1] == ["-S"] else words
    if words:
        program = shutil.which(words[0])
        if program is None:
            raise NotPython(f"there is no program {shown(words[0])}, which its first line names")
        words[0] = os.path.abspath(program)
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


def _home(python: str) -> str:
    """Where a virtual environment's Python has its standard library from; "" if it is of none."""
    here = os.path.dirname(python)
    for directory in (here, os.path.dirname(here)):
        path = os.path.join(directory, "pyvenv.cfg")
        if os.path.isfile(path):
            found = re.search(r"^home *= *(\S.*?) *$", _read(path), re.MULTILINE)
            return found[1] if found else ""
    return ""


def _lies_in(places: Sequence[str], path: str) -> bool:
    inside = tuple(os.path.join(os.path.realpath(place), "") for place in places)
    return bool(path) and any(
        os.path.join(real, "").startswith(inside) for real in (_place(path), os.path.realpath(path))
    )

"""Which hooks there are, whether each may run, and how it would be started. Light: `hooks.list` loads no more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hpm_tools.errors import HpmError, Misconfigured
from hpm_tools.hook.safety import check_hook
from hpm_tools.names import hook_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hpm_tools.config import Configuration

SUFFIXES = (".py", ".sh", "")
"""In this order: the first file of a name in a directory is the hook."""

OF_STEPS = ("pre_task", "post_task", "health_check")
"""The hooks that a runner calls by itself; any other runs by `hooks.run` only."""

LIKE_ENOUGH = 0.85
"""Of a file's letters, as difflib counts them: one letter more, less, wrong or in the wrong place."""
PUT_ASIDE = ("~", ".bak", ".disabled", ".md", ".off", ".orig", ".sample", ".swp", ".txt")
"""How files end that are not meant to run."""

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_hooks() -> Path:
    """The directory of the hooks that come with hpm-tools: in the wheel, or at the top of a checkout."""
    packaged = _PACKAGE / "_hooks"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "hooks"


class HookFile:
    """One hook as found. ``problem`` says why it would be refused; empty if it would run."""

    __slots__ = ("name", "path", "problem")

    def __init__(self, name: str, path: Path, problem: str = "") -> None:
        self.name = name
        self.path = path
        self.problem = problem


class HookFinder:
    """Finds hooks in ``directories``, of which the first that has one wins.

    ``outside`` are repositories in which no hook may lie, the shipped ones excepted: they are as safe as
    this program itself. ``search`` is the PATH on which a hook's shell is looked for.
    """

    def __init__(
        self,
        directories: Iterable[str | os.PathLike[str]],
        *,
        outside: Sequence[str | os.PathLike[str]] = (),
        search: str | None = None,
    ) -> None:
        self.directories = [Path(directory) for directory in directories]
        self._outside = [Path(root) for root in outside]
        self._search = search if search is not None else os.environ.get("PATH", os.defpath)

    def find(self, name: str) -> Path | None:
        """The file of the hook ``name``, safe or not; None if there is none.

        Raises UsageError for a bad name, and Misconfigured if a directory is gone or closed to us: hooks
        that cannot be seen must not pass for hooks that do not exist.
        """
        hook_name(name)
        for directory in self.directories:
            entries = _entries(directory)
            for suffix in SUFFIXES:
                path = directory / (name + suffix)
                if path.name in entries and not (path.is_dir() and not suffix):
                    return path
        return None

    def list(self) -> list[HookFile]:
        """Every hook that would run, by name, each with what is wrong with it."""
        entries = {entry for directory in self.directories for entry in _entries(directory)}
        names = {entry.removesuffix(".py").removesuffix(".sh") for entry in entries}
        hooks = [(name, self.find(name)) for name in sorted(names) if _is_hook_name(name)]
        return [HookFile(name, path, self._problem(path)) for name, path in hooks if path is not None]

    def mistyped(self) -> Iterator[tuple[Path, str]]:
        """The operator's files that no step runs but whose names look as if one should; each with that hook's name."""
        for directory in self.directories:
            if directory.resolve() != shipped_hooks().resolve():
                for entry in sorted(_entries(directory)):
                    meant = _meant(entry)
                    if meant is not None and not (directory / entry).is_dir():
                        yield directory / entry, meant

    def command(self, path: Path) -> Sequence[str]:
        """How the hook at ``path`` is started. Misconfigured if it is unsafe or cannot be."""
        own = path.parent.resolve() == shipped_hooks().resolve()
        return _command(check_hook(path, () if own else self._outside), self._search)

    def _problem(self, path: Path) -> str:
        try:
            self.command(path)
        except Misconfigured as error:
            return sentence(error)
        return ""


def places(config: Configuration) -> tuple[list[Path], list[str]]:
    """Where hooks are looked for, the operator's before the shipped ones, and the repositories they must not
    lie in. Misconfigured if the operator's directory cannot be seen."""
    own = [Path(config.hooks_dir)] if config.hooks_dir else []
    for directory in own:
        _entries(directory, config.place_of("hooks_dir"))
    return [*own, shipped_hooks()], [root for root in (config.repo, config.worktree_base) if root]


def finder(config: Configuration) -> HookFinder:
    """The finder of the hooks that a runner with this configuration would run."""
    directories, outside = places(config)
    return HookFinder(directories, outside=outside)


def sentence(error: HpmError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _entries(directory: Path, setting: str = "--hooks-dir") -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError as error:
        reason = (
            "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        raise Misconfigured(f"the hooks directory {directory} {reason}", f"check {setting}") from error


def _command(path: Path, search: str) -> Sequence[str]:
    """Python hooks with this Python, others as they say, ``.sh`` even if not executable."""
    if path.suffix == ".py":
        # -B: the shipped hooks may lie where nothing must be written.
        return [sys.executable, "-B", str(path)]
    shebang = _shebang(path)
    if os.access(path, os.X_OK) and (shebang or path.suffix != ".sh"):
        return [str(path)]
    if path.suffix != ".sh":
        raise Misconfigured(f"the hook {path} is not executable", f"chmod +x {path}")
    import shutil

    shell = "bash" if b"bash" in shebang else "sh"
    program = shutil.which(shell, path=search)
    if program is None:
        raise Misconfigured(f"the hook {path} needs {shell}, which is not on the PATH", f"install {shell}")
    return [program, str(path)]


def _shebang(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError as error:
        raise Misconfigured(
            f"the hook {path} cannot be read: {error.strerror}", "check its rights"
        ) from error
    return first if first.startswith(b"#!") else b""


def closest(name: str) -> str | None:
    """The hook of a step whose name is ``name`` but for a slip of the hand; None if there is none, or it is one."""
    if name in OF_STEPS:
        return None
    import difflib

    letters = {"".join(filter(str.isalpha, known)): known for known in OF_STEPS}
    written = "".join(filter(str.isalpha, name.lower()))
    like = difflib.get_close_matches(written, letters, 1, LIKE_ENOUGH)
    return letters[like[0]] if like else None


def _meant(entry: str) -> str | None:
    if entry.endswith(PUT_ASIDE):
        return None
    stem = entry.partition(".")[0]
    if stem in OF_STEPS:
        return stem if entry.removeprefix(stem) not in SUFFIXES else None
    return closest(stem)


def mistake(path: Path, meant: str) -> str:
    """What to tell of a file that ``mistyped`` found."""
    return f"no step runs {path}: did you mean {meant}?"


def _is_hook_name(name: str) -> bool:
    try:
        return bool(hook_name(name)) and not name.startswith("_")
    except HpmError:
        return False

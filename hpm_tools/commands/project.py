"""`init` and `trust`: the commands as Invoke tasks in one's own repository, and what that may configure."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.errors import CannotCreate, Misconfigured, NotFound, UsageError
from hpm_tools.registry import Arg, Result, command
from hpm_tools.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.commands.results import InvokeProgram, ProjectFiles, Trust
    from hpm_tools.config.trust import TrustStore
    from hpm_tools.ui import TerminalUI

TASKS = "tasks.py"
TASKS_PACKAGE = os.path.join("tasks", "__init__.py")
INVOKE = "invoke.yaml"
OUR_TASKS = "hpm_tools.tasks"
"""What a tasks.py imports that offers our commands."""
IMPORTED = re.compile(
    rf"{re.escape(OUR_TASKS)}\b"
    r"|from\s+hpm_tools\s+import\s+(?:\([^)]*|[^(\n#]*)\btasks\b"  # in one line or in parentheses
)

TO_ADD = (
    f"add to it: from {OUR_TASKS} import run, lock (or whichever you want), and if it makes a Collection, "
    "give them to that; or use hpm run, which needs none of this"
)

# Where Invoke's own Python has no hpm_tools, a traceback of 40 lines would come with every task, --list and <TAB>.
TASKS_TEXT = f'''\
"""hpm-tools' commands as Invoke tasks: invoke --list. A @task of your own below is one of them."""
import sys
from invoke.exceptions import Exit
try:
    from {OUR_TASKS} import ns  # noqa: F401
except ImportError as error:
    why = f"error: the Python of this invoke, {{sys.executable}}, cannot import hpm_tools: {{error}}"
    raise Exit(why + "; `hpm init` says which invoke works here", code=78) from None
'''

SETTINGS_TEXT = """\
# Here role, level, the intervals and sessions of a role and a level count by themselves, every other setting only
# after `hpm trust`.
hpm:
  level: principal
  # sessions:
  #   - {agent_id: dev_001, role: backend_dev}
  # claude:
  #   sandbox: auto
  #   allow: ["Bash(npm ci)", "Bash(npm test:*)"]
"""
# Whichever of these Invoke finds first, it reads, and none of the others.
OTHER_INVOKE_FILES = ("invoke.yml", "invoke.json", "invoke.py")

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

REPO = Arg("the repository; by default the one around the current directory", metavar="DIR")


@command("init", example="cd ~/src/shop && hpm init && invoke --list", args={"repo": REPO})
def init(ui: TerminalUI, *, repo: str | None = None) -> Result[ProjectFiles]:
    """Make `invoke run …` work in a repository.

    Writes tasks.py and invoke.yaml, and says which `invoke` on PATH can run the tasks. Files that are there are
    never changed. Where a tasks.py has none of our tasks, nothing is written, and the error says what to add to
    it (73). invoke.yaml holds settings only. New files stay out of git through .git/info/exclude. Of each
    `invoke` on PATH the Python is asked where its packages are, and these are looked through; nothing of the
    repository is executed.
    """
    from hpm_tools.commands import invoke_on_path
    from hpm_tools.worktree import registration
    from hpm_tools.worktree.repository import Repository

    root = _root(repo)
    problem = _tasks_problem(root)
    repository = Repository.discover(root)
    written = []
    apart = repository.common_dir / "hpm"
    for name, text in () if problem else ((TASKS, TASKS_TEXT), (INVOKE, SETTINGS_TEXT)):
        # no failpoint: nothing counts before its rename, and a crash has it swept or made anew
        _half(apart, name).unlink(missing_ok=True)
        if not _taken(root, name):
            # First, for nobody would exclude a file that is there already.
            repository.exclude(f"/{name}")
            _write(_half(apart, name), os.path.join(root, name), text)
            written.append(name)
            ui.note(f"wrote {os.path.join(root, name)}, kept out of git by .git/info/exclude")
    if not written and not problem:
        ui.note(f"{root} is ready: nothing to do")
    worktrees = [str(found.path) for found in registration.all_of(repository.common_dir)]
    programs = invoke_on_path.programs([root, *worktrees])
    _say_which_invoke(ui, programs, invoke_on_path.own_invoke(), would=bool(problem))
    if problem:
        raise CannotCreate(f"{root}: {problem}", TO_ADD, invoke=programs)
    content: ProjectFiles = {"repo": root, "written": written, "invoke": programs}
    return Result(content, "\n".join(os.path.join(root, name) for name in written))


def _say_which_invoke(ui: TerminalUI, programs: list[InvokeProgram], own: str, *, would: bool) -> None:
    """``own`` is the `invoke` that is known to work, wherever PATH leads; ``would``: once our tasks are added."""
    from hpm_tools import __version__

    working = next((program for program in programs if program["works"]), None)
    if working is not None and working is programs[0]:
        version = working["version"]
        other = "" if version == __version__ else f" (hpm-tools {version}, this is {__version__})"
        ui.note(f"`invoke` {'would run' if would else 'runs'} our tasks here, by {working['path']}{other}")
        return
    does = "would" if would else "does"
    if programs:
        first = programs[0]
        does_not = f"{does} not" if first["works"] is False else "may not"
        ui.warn(f"`invoke` {does_not} run our tasks here. PATH has {first['path']}, and {first['why']}")
        place = f"a directory that PATH has before {os.path.dirname(first['path'])}"
    else:
        ui.warn(f"`invoke` {does} not run our tasks here: PATH has none")
        place = "a directory on PATH"
    works = working["path"] if working is not None else own
    if works:
        ui.note(f"  {works} {does}: call it by this name, or make a link to it in {place}")


@command(
    "trust",
    example="hpm trust --repo ~/src/shop",
    args={
        "repo": REPO,
        "revoke": Arg("withdraw the approval: the settings count no longer"),
        "ref": Arg("start tasks again from this branch, tag or remote branch as it is now", metavar="REF"),
    },
)
def trust(
    ui: TerminalUI, *, repo: str | None = None, revoke: bool = False, ref: str | None = None
) -> Result[Trust]:
    """Approve a repository's settings and git filters.

    Shows them first: its invoke.yaml, and the filters that its git configuration sets. In place of invoke.yaml
    it may be invoke.yml or invoke.json: Invoke reads the first that there is. Called as `invoke trust`, it also
    approves what the tasks.py sets with ns.configure for the Collection of this task, and the invoke.yaml
    beside a tasks.py outside the repository. All are approved as they are now. What changes is refused with 78
    until it is approved again: agents can write to it. Of filters the command is approved, not the program that
    it names. With --ref nothing of that is looked at: it says that a ref which was moved while an agent worked
    is right where it is now.
    """
    from hpm_tools.config import invoke_files
    from hpm_tools.config.trust import TrustStore
    from hpm_tools.state.paths import StateDir

    root = _root(repo)
    if ref is not None:
        return _trust_ref(ref, root, revoke=revoke)
    store = TrustStore(StateDir())
    configured = invoke_files.configured.get()
    places = [root]
    if configured is not None and configured.is_apart(root):
        places.append(configured.project)
    if revoke:
        also = [] if configured is None else [configured.project]
        revoked = True in [store.revoke(place) for place in {*places, *also}]
        text = f"{root} is no longer trusted" if revoked else f"{root} was not trusted"
        return Result({"repo": root, "trusted": False, "changed": revoked}, text)
    files = {place: _to_approve(ui, place) for place in places}
    changed, names = _trust_filters(ui, root, store)
    is_configured = configured is not None and configured.section is not None
    if not names and not is_configured and all(content is None for _, content in files.values()):
        raise NotFound(
            f"{files[root][0]} does not exist: there is nothing to approve", f"hpm init --repo {root}"
        )
    data: Trust = {"repo": root, "trusted": True, "changed": changed, "git": names}
    said = [f"{counted(len(names), 'git setting')} may run"] if names else []
    if configured is not None and configured.section is not None:
        shown = configured.content()
        ui.note(f"--- {configured.source}\n{shown.decode()}\n---")
        data["changed"] |= store.approve_configured(configured.project, shown)
        data["configured"] = configured.project
        said.insert(0, f"{configured.source} is trusted as it is now")
    for place, (path, content) in reversed(files.items()):
        if content is not None:
            data["changed"] |= store.approval(place) != (approved := store.approve(place, content))
            said.insert(0, f"{path} is trusted as it is now")
            if place == root:
                data["sha256"] = approved
    return Result(data, "; ".join(said))


def _to_approve(ui: TerminalUI, root: str) -> tuple[str, bytes | None]:
    """The repository's file for Invoke, which is shown, and its content; None if there is none that can count."""
    from hpm_tools.config import invoke_files

    found = invoke_files.first_of(os.path.join(root, invoke_files.PROJECT))
    if found is None:
        return os.path.join(root, INVOKE), None
    path, content = found
    if path.endswith(".py"):
        ui.warn(f"{path} is never executed, so it cannot be approved: put the settings into {INVOKE}")
        return os.path.join(root, INVOKE), None
    invoke_files.section(content, path)
    ui.note(f"--- {path}\n{content.decode(errors='replace').rstrip()}\n---")
    return path, content


def _trust_ref(ref: str, root: str, *, revoke: bool) -> Result[Trust]:
    from hpm_tools.runner import bases
    from hpm_tools.state.paths import StateDir
    from hpm_tools.worktree.repository import Repository

    if revoke:
        raise UsageError("--ref cannot be revoked", "a ref is doubted again once an agent moves it")
    name, changed = bases.trust(StateDir(), Repository.discover(root), ref)
    text = f"tasks start from {name} as it is now" if changed else f"{name} is trusted already as it is now"
    return Result({"repo": root, "trusted": True, "changed": changed, "ref": name}, text)


def _trust_filters(ui: TerminalUI, root: str, store: TrustStore) -> tuple[bool, list[str]]:
    """Show and approve the filters of the repository's git configuration: whether that changed, and their names."""
    from hpm_tools.worktree import filters
    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.repository import Repository

    repository = Repository.discover(root)
    settings = filters.of_repository(Git(repository.place))
    for setting in settings:
        ui.note(f"{setting.name} = {setting.value}")
        program = setting.value.partition(" ")[0]
        if "/" in program and not os.path.isabs(program):
            ui.warn(f"{program} is a file of the repository: an agent can change what it does")
    digests = frozenset(setting.digest for setting in settings)
    changed = digests != store.git_settings(str(repository.root))
    if changed:
        store.approve_git(str(repository.root), digests)
    return changed, [setting.name for setting in settings]


def _root(repo: str | None) -> str:
    from hpm_tools.config.locate import find_repository, is_own_checkout

    if repo is not None and not os.path.isdir(repo):
        raise Misconfigured(f"{repo} is not a directory", "name a git repository: --repo DIR")
    try:
        start = repo or os.getcwd()
    except FileNotFoundError:
        raise Misconfigured("the current directory no longer exists", "change to one that does") from None
    root = find_repository(start)
    if root is None:
        raise Misconfigured(
            f"{start} is in no git repository",
            "make one with git init, or name one: --repo DIR",
        )
    if repo is None and is_own_checkout(root):
        raise Misconfigured(
            "this is hpm-tools' own checkout, not a repository for agents",
            f"name it if it is meant: --repo {root}",
        )
    return root


def _taken(root: str, name: str) -> bool:
    if name == TASKS and os.path.exists(os.path.join(root, TASKS_PACKAGE)):
        return True
    names = (INVOKE, *OTHER_INVOKE_FILES) if name == INVOKE else (name,)
    return any(os.path.lexists(os.path.join(root, name)) for name in names)


def _tasks_problem(root: str) -> str:
    """What keeps an existing tasks.py, or a tasks package, from offering our commands."""
    if not _taken(root, TASKS):
        return ""
    # In this order Invoke looks for them.
    name = TASKS if os.path.lexists(os.path.join(root, TASKS)) else TASKS_PACKAGE
    if IMPORTED.search(_text(root, name)):
        return ""
    return f"{name} offers none of our tasks, so nothing was written"


def _text(root: str, name: str) -> str:
    from hpm_tools.config.files import read_file

    return (read_file(os.path.join(root, name)) or b"").decode(errors="replace")


def _half(apart: Path, name: str) -> Path:
    """Where a file is until it is whole; a command that was killed may have left it there."""
    return apart / f"{name}.new"


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
def _write(made: Path, path: str, text: str) -> None:
    """Make a whole file in one step, without replacing one: half a tasks.py would be taken for somebody's own."""
    try:
        made.parent.mkdir(mode=0o700, exist_ok=True)
        with open(made, "x", encoding="utf-8") as file:
            file.write(text)
        try:
            with failpoints.around("project"):
                os.link(made, path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            os.rename(made, path)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise CannotCreate(f"{path} could not be written: {error.strerror}") from error

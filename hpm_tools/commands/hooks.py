"""`hooks.run` and `hooks.list`: the operator's hooks, run and shown as the runner would."""

from __future__ import annotations

from hpm_tools import names
from hpm_tools.commands import noting
from hpm_tools.commands.common import REPO
from hpm_tools.registry import Arg, Result, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from hpm_tools.commands.results import HookAnswer, Hooks
    from hpm_tools.config import Configuration
    from hpm_tools.hook.outcome import HookOutcome
    from hpm_tools.state.record import Record
    from hpm_tools.ui import TerminalUI

HOOKS_DIR = Arg("a directory of hooks that win over the shipped ones", metavar="DIR")


@command(
    "hooks.run",
    example="hpm hooks.run --name pre_task --data '{\"task_id\": 12}'",
    args={
        "name": Arg(
            "the hook: pre_task, post_task, health_check or one of yours",
            metavar="HOOK",
            check=names.hook_name,
        ),
        "data": Arg("a JSON object for the hook's stdin; - reads it from standard input", metavar="JSON"),
        "agent_id": Arg(
            "take the data from this agent's locked task, as the runner does",
            metavar="A",
            check=names.agent_id,
        ),
        "hooks_dir": HOOKS_DIR,
        "repo": REPO,
    },
)
def run(
    ui: TerminalUI,
    *,
    name: str,
    data: str | None = None,
    agent_id: str | None = None,
    hooks_dir: str | None = None,
    repo: str | None = None,
) -> Result[HookAnswer]:
    """Run one hook by hand; prints what it prints.

    The hook gets JSON on its standard input. That is --data, or standard input with --data -, or an agent's
    task, or nothing: only when told to is standard input read, so that a shell loop around it keeps its own.
    The exit code is 0 if the hook said yes, 1 if it said no, 124 if it took too long, and 78 if it is not safe
    or cannot be started. A hook that does not exist is 65.
    """
    from contextlib import nullcontext

    from hpm_tools.commands.common import config
    from hpm_tools.hook.runner import HookRunner

    alone: AbstractContextManager[object] = nullcontext()
    record = cookie = None
    if agent_id is None or data is not None:
        facts = _data(ui, data)
    else:
        facts, record, cookie, alone = _task_data(ui, name, agent_id, repo)
    settings = config(repo, hooks_dir=hooks_dir)
    with alone:
        outcome = HookRunner.from_config(settings).run(name, facts, cookie=cookie)
    _refuse_missing(settings, outcome)
    noting.note_event(
        "hook_ran",
        agent_id or "",
        record=record,
        name=name,
        ok=outcome.ok,
        ending=str(outcome.ending),
        path=str(outcome.path),
        seconds=round(outcome.seconds, 3),
    )
    _complain(ui, outcome)
    return Result(outcome.to_json(), outcome.messages, _exit_code(outcome), failure=outcome.reason)


def _data(ui: TerminalUI, text: str | None) -> dict[str, Any]:
    from hpm_tools.commands.given import input_waits, json_value
    from hpm_tools.errors import BadData

    if text == "-":
        text = ui.read_stdin()
    elif text is None and input_waits():
        ui.note("standard input is not read: --data - would take the hook's data from it")
    data = json_value(text, "the hook's data", "pass one JSON object") if text and text.strip() else {}
    if not isinstance(data, dict):
        raise BadData(f"the hook's data is a JSON {type(data).__name__}", "pass one JSON object")
    return data


def _task_data(
    ui: TerminalUI, name: str, agent_id: str, repo: str | None
) -> tuple[dict[str, Any], Record, str | None, AbstractContextManager[object]]:
    """What the runner would tell the hook ``name``, the record, the run's cookie, and the guard to hold meanwhile.

    The cookie marks the hook's processes as the task's own, so that whoever takes over a killed script ends
    them. Where somebody works on the task it stays with them: what carries it ends with the hook.
    """
    from contextlib import nullcontext

    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import NothingToDo
    from hpm_tools.runner.steps import hook_data, post_data
    from hpm_tools.state.guard import agent_guard

    tools = toolbox(ui, agent_id, repo=repo)
    record = tools.persistence.record()
    if record is None:
        raise NothingToDo(
            f"agent {agent_id} holds no task", f"take one first: hpm lock --agent-id {agent_id} --task-id N"
        )
    guard = agent_guard(tools.state, agent_id)
    mine = guard.acquire(wait=0.0)
    told = post_data if name == "post_task" and record.ending else hook_data
    cookie = record.run_id if mine and not _agent_lives(record) else None
    return told(tools, record), record, cookie, guard if mine else nullcontext()


def _agent_lives(record: Record) -> bool:
    from hpm_tools.process.identity import same_process

    child = record.child or {}
    return bool(child) and same_process(
        int(child.get("pid") or 0), str(child.get("start") or ""), record.boot_id or ""
    )


def _refuse_missing(settings: Configuration, outcome: HookOutcome) -> None:
    from hpm_tools.errors import NotFound
    from hpm_tools.hook.finding import closest
    from hpm_tools.hook.hints import listing
    from hpm_tools.hook.outcome import MISSING

    if outcome.ending == MISSING:
        meant = closest(outcome.name)
        hint = f"did you mean {meant}? " if meant else ""
        raise NotFound(f"there is no hook {outcome.name}", f"{hint}{listing(settings)} shows which there are")


def _complain(ui: TerminalUI, outcome: HookOutcome) -> None:
    if outcome.errors and outcome.ok:
        ui.note(outcome.errors)
    elif not outcome.ok:
        ui.error(outcome.reason)
        ui.hint(f"the hook is {outcome.path}")


def _exit_code(outcome: HookOutcome) -> int:
    from hpm_tools import errors
    from hpm_tools.hook.outcome import REFUSED

    if outcome.ok:
        return errors.DONE
    if outcome.ending == REFUSED:
        return errors.MISCONFIGURED
    return errors.TIMED_OUT if outcome.timed_out else errors.FAILED


@command(
    "hooks.list",
    example="hpm hooks.list --sha256",
    reads=True,
    args={
        "hooks_dir": HOOKS_DIR,
        "repo": REPO,
        "sha256": Arg("show the SHA-256 of each file, to compare with an earlier list"),
    },
)
def list_(
    ui: TerminalUI, *, hooks_dir: str | None = None, repo: str | None = None, sha256: bool = False
) -> Result[Hooks]:
    """List the hooks, and whether each is safe to run.

    Hooks are checked like sshd checks its files: they and every directory above belong to root or you, and
    nobody else can write them. An unsafe hook is never run: before a task that stops the task.
    """
    from hpm_tools.commands.common import warned_config
    from hpm_tools.hook.finding import finder, mistake
    from hpm_tools.text import table

    found = finder(warned_config(ui, repo, hooks_dir=hooks_dir))
    hooks = found.list()
    sums = [_sha256(hook.path) if sha256 else None for hook in hooks]
    for hook in hooks:
        if hook.problem:
            ui.warn(hook.problem)
    for path, meant in found.mistyped():
        ui.warn(mistake(path, meant))
    data: Hooks = {
        "directories": [str(directory) for directory in found.directories],
        "hooks": [
            {"name": hook.name, "path": str(hook.path), "problem": hook.problem or None, "sha256": sum_}
            for hook, sum_ in zip(hooks, sums, strict=True)
        ],
    }
    rows = [
        (hook.name, "refused" if hook.problem else "ok", *([sum_ or "-"] if sha256 else []), hook.path)
        for hook, sum_ in zip(hooks, sums, strict=True)
    ]
    headers = ("HOOK", "STATE", *(["SHA256"] if sha256 else []), "FILE")
    return Result(data, table(rows, headers, ui.columns, free=("FILE",)))


def _sha256(path: Path) -> str | None:
    """None if it cannot be read."""
    import hashlib

    if not path.is_file():  # opening a named pipe would wait for its writer
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

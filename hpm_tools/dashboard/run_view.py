"""One run of a task in detail: what happened when, what the agent did, what is on its branch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.errors import HpmError, NotFound
from hpm_tools.executor.stream import StreamReader
from hpm_tools.state.paths import file_name
from hpm_tools.text import for_terminal, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hpm_tools.events.store import Stored
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.worktree.repository import Repository

LOG_TAIL = 1 << 20
"""Bytes of a log's end that are looked at."""
MOST_LINES = 400
MOST_COMMITS = 50
LONGEST_LINE = 500
QUIET = ("agent_progress", "board_calls")
"""Kinds of event that say nothing about the course of a run."""


@dataclass(slots=True)
class RunView:
    """``happened`` are (Unix time, words), ``did`` the agent's acts, ``commits`` (id, subject), newest first."""

    run: str
    task: int | None = None
    title: str = ""
    agent: str = ""
    branch: str = ""
    happened: list[tuple[float, str]] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    commits: list[tuple[str, str]] = field(default_factory=list)


def look(tools: Toolbox, run: str, events: Iterable[Stored]) -> RunView:
    """The run called ``run``, whose events are ``events``; NotFound if nothing is known of it."""
    view = RunView(run)
    for event in events:
        view.agent, view.task = event.agent, event.task
        view.title = one_line(str(event.data.get("title") or view.title))
        view.branch = one_line(str(event.data.get("branch") or view.branch))
        text = one_line(str(event.data.get("text") or event.event.replace("_", " ")))
        if event.event not in QUIET:
            view.happened.append((event.at, text[:LONGEST_LINE]))
    path = os.path.join(tools.state.runs, file_name(run) + ".jsonl")
    view.did = [tools.clean(act)[:LONGEST_LINE] for act in acts(tail(path))][-MOST_LINES:]
    if not view.happened and not view.did:
        raise NotFound(f"nothing is known of a run {names.shown(run)}")
    view.commits = _commits(tools, view.branch)
    return view


def tail(path: str) -> list[bytes]:
    """The whole lines in the end of the file at ``path``; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LOG_TAIL))
            lines = file.read(LOG_TAIL).splitlines()
    except OSError:
        return []
    return lines[1:] if size > LOG_TAIL else lines


def acts(lines: Iterable[bytes]) -> Iterator[str]:
    """What an agent did, by its log: of Claude's stream each act, of anything else the lines themselves."""
    reader = StreamReader()
    shown = None
    for line in lines:
        strange = reader.strange_lines
        reader.feed(line)
        if reader.strange_lines > strange:
            yield for_terminal(line.decode(errors="replace"))
        elif reader.progress is not shown and reader.progress is not None:
            shown = reader.progress
            yield for_terminal(shown.text)


def _commits(tools: Toolbox, branch: str) -> list[tuple[str, str]]:
    """The branch's own commits; none where there is no repository, or no such branch any more."""
    try:
        names.branch(branch)
        return _own_commits(tools.repository, f"refs/heads/{branch}")
    except HpmError:
        return []


def _own_commits(repository: Repository, ref: str) -> list[tuple[str, str]]:
    main = repository.default_branch()
    others = ["--not", f"refs/heads/{main}"] if main and ref != f"refs/heads/{main}" else []
    found = repository.git.text("log", f"--max-count={MOST_COMMITS}", "--format=%h %s", ref, *others, "--")
    rows = (line.partition(" ") for line in found.splitlines())
    return [(commit, one_line(subject)) for commit, _, subject in rows]

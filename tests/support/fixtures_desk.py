"""Operators' desks for tests: a plain one, and one whose agents are the real Claude CLI, talking to a scripted endpoint.

A module whose tests need more overrides the fixture and asks for it at the same time: ``def desk(desk)``, ``def repo(repo)``.
"""

from __future__ import annotations

import json
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_claude import QUICK_START, bundled_cli
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, Running
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

Json = dict[str, Any]

WRITE: Json = {"write": {"path": "hello.txt", "content": "hello\n"}}
COMMIT: Json = {"commit": "Say hello"}
SPIN: Json = {"bash": 'python3 -c \'import time; open("started.txt", "w").close(); time.sleep(600)\''}
"""A command that runs until it is ended; the file says that it does. ALLOW_PYTHON lets it run."""
ALLOW_PYTHON = {"allow": ["python3"]}

KEY = {"ANTHROPIC_API_KEY": "sk-ant-dummy-key-of-the-tests"}
TOKEN = {"CLAUDE_CODE_OAUTH_TOKEN": "dummy-oauth-token"}

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "An Agent"), ("EMAIL", "agent@example.org"))
}

WRAPPER = """#!/bin/sh
# Notes the real CLI's pid and arguments, and whether an agent that began here before it still lives.
[ "$1" = --version ] && exec '{cli}' "$@"
for pid in $(cut -d' ' -f1 '{starts}' 2>/dev/null); do
    [ "$(readlink "/proc/$pid/cwd")" = "$PWD" ] && echo "$pid $$ $PWD" >> '{overlaps}'
done
printf '%s %s\\n' "$$" "$*" >> '{starts}'
export {quick_start}
exec '{cli}' "$@"
"""


class ClaudeDesk(Desk):
    """A desk with the real CLI.

    ``login`` is what the CLI's environment has, ``endpoint`` what it talks to, under ``url``; ``board_url``
    is where the runner finds the board.
    """

    def __init__(
        self, directory: Path, board: BoardUnderTest, repo: Path, endpoint: MessagesEndpoint
    ) -> None:
        self.endpoint = endpoint
        self.login = KEY
        self.url = endpoint.url
        self.board_url = board.url
        self.cli = directory / "claude"
        self.overlaps = directory / "overlaps"
        super().__init__(directory, board, repo)
        quick_start = " ".join(f"{name}={value}" for name, value in QUICK_START.items())
        wrapper = WRAPPER.format(
            cli=bundled_cli(), starts=self.starts, overlaps=self.overlaps, quick_start=quick_start
        )
        self.cli.write_text(wrapper, encoding="utf-8")
        self.cli.chmod(0o755)
        self.configure(
            claude_path=str(self.cli),
            retry_pause=0.2,
            task_check_interval=1,
            hooks_dir=str(self.quick_hooks),
        )

    def play(self, *steps: Json, **scenario: Any) -> None:
        """From now on every agent does ``steps``, or what the scenario's own rules say."""
        self.endpoint.play({"rules": [{"steps": list(steps)}], **scenario})

    def play_turns(self, *turns: list[Json], **scenario: Any) -> None:
        """The steps of the first prompt of a session, of its first resume, and so on."""
        rules = [{"prompt": number, "steps": steps} for number, steps in enumerate(turns, 1)]
        self.endpoint.play({"rules": rules, **scenario})

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            **IDENTITY,
            **self.login,
            "HEADLESS_PM_API_URL": self.board_url,
            "ANTHROPIC_BASE_URL": self.url,
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }

    @property
    def agents(self) -> list[list[str]]:
        """The pid and the arguments of every CLI that was started to do work here, oldest first."""
        if not self.starts.exists():
            return []
        return [line.split(" ") for line in self.starts.read_text(encoding="utf-8").splitlines()]

    def sessions(self) -> list[tuple[str, str]]:
        """("--session-id" or "--resume", the session) of every start."""
        found: list[tuple[str, str]] = []
        for arguments in self.agents:
            option = next(name for name in ("--session-id", "--resume") if name in arguments)
            found.append((option, arguments[arguments.index(option) + 1]))
        return found

    def prompts(self) -> str:
        """All that the newest request of an agent carried."""
        return str(self.endpoint.turns[-1]["body"]["messages"])

    def run(self, *more: object, agent: str = "dev_001", role: str = "backend_dev") -> Any:
        """`run --single-task`, its output in the answer."""
        return self.hpm("run", "--role", role, "--agent-id", agent, "--single-task", *more)

    def begin(self, *more: object, agent: str = "dev_001", role: str = "backend_dev") -> Running:
        """A runner in the background, printing its events as JSON."""
        return self.start("run", "--json", "--role", role, "--agent-id", agent, *more)

    def tasklog(self) -> Json:
        """What is remembered of the only task beyond its record's life."""
        (path,) = (self.state / "tasks").glob("*.json")
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def await_pause(self) -> None:
        """Wait until the only task, which was given back, is no longer left alone."""
        wait_until(lambda: self.tasklog()["skip"]["until"] < time.time(), what="the end of the pause")

    def results(self) -> list[Json]:
        """The result lines of all agent runs, from the runs' private logs, oldest first."""
        found = []
        for path in sorted((self.state / "runs").iterdir(), key=lambda path: path.stat().st_mtime):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            lines = [line for line in path.read_bytes().splitlines() if b'"type":"result"' in line]
            found += [json.loads(line) for line in lines]
        return found


def events(output: str, name: str = "") -> list[Json]:
    """The events in the output of `run --json`, by ``name``."""
    found = [json.loads(line) for line in output.splitlines() if line.startswith('{"event"')]
    return [event for event in found if not name or event["event"] == name]


def wait_for_event(runner: Running, name: str, within: float = PATIENCE) -> Json:
    """The first event ``name`` of a runner started with `ClaudeDesk.begin`."""
    return wait_until(lambda: events(runner.output(), name), within, f"the event {name}")[0]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with one commit."""
    return make_repo(tmp_path / "repo")


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest, repo: Repo) -> Iterator[Desk]:
    """A desk in ``repo`` whose agents do what their tasks say; what is left of them afterwards is ended."""
    desk = Desk(tmp_path / "desk", exact_board, repo.root)
    yield desk
    desk.end_agents()


@pytest.fixture
def claude_desk(tmp_path: Path, exact_board: BoardUnderTest, repo: Repo) -> Iterator[ClaudeDesk]:
    with MessagesEndpoint({"rules": [{}]}) as endpoint:
        desk = ClaudeDesk(tmp_path / "desk", exact_board, repo.root, endpoint)
        yield desk
        desk.end_agents()

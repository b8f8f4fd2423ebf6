"""The real Claude CLI in a place of its own: a repository, a home, a scripted endpoint, an executor."""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.base import AgentJob, AgentRun, Progress
from hpm_tools.executor.claude import ClaudeExecutor, ClaudeSettings
from hpm_tools.executor.verdict import Verdict, classify
from hpm_tools.process.supervise import Clocks
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.needs import bundled_claude, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpm_tools.process.supervise import Child

PATIENCE = 600.0
"""Seconds after which a run that should take one is given up."""


ANOTHER_CLI = os.environ.get("HPM_TEST_CLAUDE")
"""Runs these tests with another version of the real CLI."""


QUICK_START = {"BUN_JSC_useDFGJIT": "0"}
"""Spares the CLI its runtime's optimizing compiler: a third of the processor time of a run that lasts a second."""


def bundled_cli() -> Path:
    """The real CLI that the dev extra claude-agent-sdk brings along, or the one that HPM_TEST_CLAUDE names."""
    if ANOTHER_CLI:
        return Path(ANOTHER_CLI)
    path = bundled_claude()
    assert path is not None, missing("claude")
    return path


@dataclass
class ClaudeBench:
    """One repository with an agent's means to work in it."""

    directory: Path
    repo: Path
    environ: dict[str, str]
    endpoint: MessagesEndpoint
    progress: list[Progress] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    def play(self, *steps: dict[str, Any], **scenario: Any) -> None:
        """From now on the agent does ``steps``, or what the scenario's own rules say."""
        self.endpoint.play({"rules": [{"steps": list(steps)}], **scenario})

    def executor(self, **settings: Any) -> ClaudeExecutor:
        """Its agents may commit, unless ``settings`` say something of the sandbox."""
        given = {
            "path": str(bundled_cli()),
            "legacy_git": "sandbox" not in settings,
            "env_names": tuple(QUICK_START),
            **settings,
        }
        return ClaudeExecutor(ClaudeSettings(**given), self.environ)

    def job(self, prompt: str = "Do the task.", **facts: Any) -> AgentJob:
        job = AgentJob(
            prompt=prompt,
            cwd=self.repo,
            agent_id="dev_001",
            run_id=str(uuid.uuid4()),
            session_id=str(uuid.uuid4()),
            clocks=Clocks(total=PATIENCE),
            model="sonnet",
        )
        return replace(job, **facts)

    def run(
        self,
        job: AgentJob | None = None,
        executor: ClaudeExecutor | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], str | None] | None = None,
    ) -> AgentRun:
        def progress(now: Progress) -> None:
            self.progress.append(now)
            if on_progress is not None:
                on_progress(now)

        executor = executor or self.executor()
        return executor.run(job or self.job(), progress, self.children.append, should_stop)

    def verdict(self, run: AgentRun, role: str = "backend_dev") -> Verdict:
        """The verdict, with git's word on whether anything changed."""
        changed = bool(self.git("status", "--porcelain")) or self.git("rev-list", "--count", "HEAD") != "1"
        return classify(run, changed=changed, role=role)

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.repo, env=self.environ, capture_output=True, text=True, check=True
        ).stdout.strip()

    def said_to_agent(self) -> str:
        """Every text and tool result that the endpoint was sent in the newest request of an agent."""
        return str(self.endpoint.turns[-1]["body"]["messages"])


@pytest.fixture
def claude(tmp_path: Path, isolated: Path) -> Iterator[ClaudeBench]:
    repo = tmp_path / "repo"
    repo.mkdir()
    with MessagesEndpoint({"rules": [{}]}) as endpoint:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(isolated),
            "CLAUDE_CONFIG_DIR": str(isolated / ".claude"),
            "TMPDIR": os.environ["TMPDIR"],
            "ANTHROPIC_BASE_URL": endpoint.url,
            "ANTHROPIC_API_KEY": "sk-ant-dummy-key-of-the-tests",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            **QUICK_START,
        }
        bench = ClaudeBench(tmp_path, repo, environ, endpoint)
        bench.git("init", "-q", "-b", "main")
        bench.git("config", "user.name", "A Test")
        bench.git("config", "user.email", "test@example.org")
        bench.git("commit", "-q", "--allow-empty", "-m", "base")
        yield bench

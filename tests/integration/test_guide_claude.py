"""ClaudeExecutor does a task in a directory, started from Python alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools import ClaudeExecutor, Config, ModelMapper
from hpm_tools.errors import Misconfigured, NotFound, UsageError
from tests.support.fixtures_claude import bundled_cli

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures_claude import ClaudeBench

TASK = {"id": 12, "title": "Say hello", "description": "In hello.txt.", "skill_level": "principal"}
WRITE = {"write": {"path": "hello.txt", "content": "hello\n"}}


def test_task_is_done_in_the_directory_by_the_model_of_its_difficulty(claude: ClaudeBench) -> None:
    claude.play(WRITE)
    role = claude.directory / "backend_dev.md"
    role.write_text("Greet in one word.\n", encoding="utf-8")
    executor = ClaudeExecutor(claude.executor().settings, claude.environ, models=ModelMapper())
    run = executor.execute_task(TASK, claude.repo, role, timeout=600)
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.summary) == ("done", "done as scripted")
    assert (claude.repo / "hello.txt").read_text(encoding="utf-8") == "hello\n"
    said = claude.said_to_agent()
    assert "Say hello" in said
    assert "Greet in one word." in said
    assert "opus" in claude.endpoint.turns[-1]["body"]["model"]


def test_what_cannot_be_started_raises_before_anything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    executor = ClaudeExecutor()
    with pytest.raises(NotFound, match="is no directory"):
        executor.execute_task(TASK, tmp_path / "none")
    with pytest.raises(UsageError, match="unknown difficulty"):
        executor.execute_task({**TASK, "skill_level": "wizard"}, tmp_path)
    with pytest.raises(Misconfigured, match=r"the role file .* does not exist"):
        executor.execute_task(TASK, tmp_path, tmp_path / "qa.md")


def test_configured_executor_is_that_of_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config(claude_path=bundled_cli(), models={"senior": "haiku"}, home=tmp_path / "state")
    executor = ClaudeExecutor.from_config(config)
    found = executor.cli()
    assert (found.path, found.version.count(".")) == (bundled_cli(), 2)
    assert executor.models.model_for("senior") == "haiku"
    assert executor.settings.secrets == (str(tmp_path / "state"),)


def test_agents_cannot_read_the_file_that_has_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "session.yaml"
    file.write_text("hpm: {api_key: a-key}\n", encoding="utf-8")
    monkeypatch.setenv("INVOKE_RUNTIME_CONFIG", str(file))
    assert str(file) in ClaudeExecutor.from_config(Config()).settings.secrets

"""What a task gives in Python: plain data all the way down, and a reason where its result is a failure."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest
from invoke.context import Context

from hpm_tools import tasks
from hpm_tools.errors import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

PLAIN = (str, int, float, bool, type(None))


def parts(value: Any) -> list[Any]:
    """All that ``value`` consists of but dictionaries and lists."""
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return [value] if inner is None else [part for item in inner for part in parts(item)]


def test_the_content_of_health_and_of_a_list_of_tasks_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_URL", "embedded")
    tasks.pm_add(Context(), title="a task", role="qa")
    listed: Any = tasks.pm_tasks(Context())
    assert [(task["id"], task["title"]) for task in listed["tasks"]] == [(1, "a task")]
    monkeypatch.setenv("HEADLESS_PM_CLAUDE_PATH", "/no/such/program")
    with pytest.raises(CommandFailed, match=r"^health: .*/no/such/program") as failed:
        tasks.health(Context())
    found: Any = failed.value.content
    assert {type(check["name"]) for check in found["checks"]} == {str}
    for content in (listed, found):
        assert {type(part) for part in parts(content)} <= set(PLAIN)
        assert json.loads(json.dumps(content)) == content


def test_an_annotation_promises_no_class_that_is_not_returned() -> None:
    for task in (tasks.health, tasks.pm_tasks, tasks.pm_task):
        assert inspect.signature(task).return_annotation == dict[str, Any]


def test_a_task_that_ended_badly_says_why_in_the_exception(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_URL", "embedded")
    monkeypatch.setenv("HEADLESS_PM_REPO", str(repo.root))
    c = Context()
    tasks.pm_add(c, title="a task", role="backend_dev")
    tasks.pm_register(c, agent_id="dev_001", role="backend_dev")
    tasks.lock(c, agent_id="dev_001", task_id=1, role="backend_dev")
    verdict = tmp_path / "verdict.json"
    verdict.write_text('{"kind": "failed", "summary": "there is no key"}')
    with pytest.raises(CommandFailed, match=r"^finish: pending: .*there is no key"):
        tasks.finish(c, agent_id="dev_001", verdict=verdict)

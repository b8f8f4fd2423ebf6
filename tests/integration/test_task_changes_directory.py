"""What Invoke was told in relative paths stays what it was when a task of one's own changes the directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import BIN, call
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """
import os
from invoke import task
from hpm_tools.tasks import ns

@task
def elsewhere(c):
    os.chdir("below")
    from hpm_tools.config import load_config
    from hpm_tools.cli.invoke_settings import settings_of
    with settings_of(c):
        config = load_config()
    print(config.level, config.sources["level"])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "shop"
    make_repo(project)
    (project / "below").mkdir()
    (project / "tasks.py").write_text(TASKS)
    (project / "session.yaml").write_text("hpm: {level: junior}\n")
    return project


def test_the_file_of_f_is_seen_from_where_invoke_was_started(project: Path) -> None:
    done = call([BIN / "invoke", "-f", "session.yaml", "elsewhere"], cwd=project)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == f"junior {project / 'session.yaml'}"


def test_invokes_variable_is_seen_from_there_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOKE_RUNTIME_CONFIG", "session.yaml")
    done = call([BIN / "invoke", "elsewhere"], cwd=project)
    assert done.stdout.splitlines()[0] == f"junior {project / 'session.yaml'}"

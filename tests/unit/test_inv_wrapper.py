"""./inv: the environment it makes, once, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.frontends import PROJECT
from tests.support.inv_project import inv, ready_project
from tests.support.project_files import project_files
from tests.support.waiting import wait_until

TOOLS = ("sh", "cksum", "tr", "dirname", "readlink", "git", "cat")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return ready_project(tmp_path / "a project")


def tools_only(directory: Path, *extra: str | Path) -> str:
    """A PATH with the wrapper's own tools and nothing else."""
    directory.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (directory / tool).symlink_to(found)
    for program in extra:
        (directory / Path(program).name).symlink_to(program)
    return str(directory)


def test_a_ready_environment_is_used_at_once_with_the_words_as_they_are(project: Path) -> None:
    done = inv(project / "inv", "run", "--role", "a b", "--x=", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "<run><--role><a b><--x=><>", "")


def test_from_elsewhere_its_own_tasks_are_used(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "inv").symlink_to("../link")
    (tmp_path / "link").symlink_to(project / "inv")
    for program in (project / "inv", tmp_path / "bin" / "inv"):
        done = inv(program, "locks", cwd=tmp_path)
        assert (done.stdout, done.stderr) == (f"<--search-root><{project}><locks>", "")


def test_without_git_it_says_so(project: Path, tmp_path: Path) -> None:
    (project / ".venv" / "inv-stamp").unlink()
    path = tools_only(tmp_path / "tools")
    (tmp_path / "tools" / "git").unlink()
    done = inv(project / "inv", "locks", path=path)
    assert (done.returncode, done.stdout) == (78, "")
    assert (
        done.stderr == "inv: error: git is needed and was not found\n  install it (Debian: apt install git)\n"
    )


def test_without_a_recent_python_it_says_so(project: Path, tmp_path: Path) -> None:
    (project / ".venv" / "inv-stamp").unlink()
    done = inv(project / "inv", "locks", path=tools_only(tmp_path / "tools"))
    assert done.returncode == 78
    assert "Python 3.11 or newer is needed" in done.stderr
    old = tmp_path / "tools" / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)
    done = inv(project / "inv", "locks", path=str(tmp_path / "tools"))
    assert done.returncode == 78
    assert "there is only: Python 3.9.2" in done.stderr


@pytest.mark.extended
def test_a_failed_installation_leaves_no_environment_that_seems_ready(project: Path) -> None:
    shutil.rmtree(project / ".venv")
    (project / "pyproject.toml").write_text("this is no project\n")
    done = inv(project / "inv", "locks")
    assert (done.returncode, done.stdout) == (78, "")
    assert "the installation failed" in done.stderr
    assert "run the same command again" in done.stderr
    assert not (project / ".venv" / "inv-stamp").exists()


def clone(tmp_path: Path) -> Path:
    """The project's files as a fresh clone would have them, uncommitted changes included."""
    directory = tmp_path / "fresh clone"
    for name in project_files():
        if not name.startswith("tests/"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, directory / name)
    return directory


# Extended, for CI begins with such a first run in a fresh clone (.ci/run).
@pytest.mark.extended
@pytest.mark.registry
@pytest.mark.timeout(3600)
def test_first_runs_interrupted_concurrent_and_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing, once: it needs the package registry that pip is configured for."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name)
    project = clone(tmp_path)

    first = subprocess.Popen(
        [project / "inv", "locks"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_until((project / ".venv" / "bin" / "python").exists, timeout=600, what="the first .venv")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    assert not (project / ".venv" / "inv-stamp").exists()

    both = [
        subprocess.Popen(
            [project / "inv", "locks", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=3000) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert [out for out, _ in outputs] == ['{"locks": []}\n'] * 2
    talk = "".join(err for _, err in outputs)
    assert talk.count("making .venv") == talk.count("ready") == 1
    assert "another ./inv is preparing" in talk
    assert not (project / ".venv" / "lib" / "python3.11" / "site-packages" / "pytest").exists(), (
        "no dev extras"
    )
    assert list((project / "hpm_tools" / "__pycache__").glob("registry.*.pyc"))

    again = inv(project / "inv", "locks")
    assert (again.returncode, again.stderr) == (0, "")

    with (project / "pyproject.toml").open("a") as file:
        file.write("\n")
    changed = inv(project / "inv", "locks")
    assert (changed.returncode, "installing" in changed.stderr, "making" in changed.stderr) == (
        0,
        True,
        False,
    )

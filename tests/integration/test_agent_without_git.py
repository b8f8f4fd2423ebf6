"""What an agent is told and may do where its shell is not sandboxed: no git, and the difference in its prompt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures_desk import WRITE, ClaudeDesk

if TYPE_CHECKING:
    from pathlib import Path

OFF = {"sandbox": False}
HIDES_BWRAP = ("bwrap",)


class WithoutBubblewrap(ClaudeDesk):
    """A machine whose PATH has everything but bubblewrap."""

    @property
    def environment(self) -> dict[str, str]:
        given = super().environment
        found = self.directory / "programs"
        if not found.exists():
            found.mkdir()
            for directory in map(os.fspath, reversed(given["PATH"].split(os.pathsep))):
                for name in os.listdir(directory) if os.path.isdir(directory) else ():
                    if name not in HIDES_BWRAP:
                        (found / name).unlink(missing_ok=True)
                        (found / name).symlink_to(os.path.join(directory, name))
        return {**given, "PATH": str(found)}


def test_qa_without_git_is_shown_the_difference(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude=OFF)
    desk.git("switch", "-q", "-c", "feature/x")
    (desk.repo / "new.txt").write_text("a line to judge\n", encoding="utf-8")
    desk.git("add", "-A")
    desk.git("commit", "-q", "-m", "work to judge")
    commit = desk.git("rev-parse", "HEAD")
    desk.git("switch", "-q", "main")
    desk.board.add_task(
        complexity="major",
        status="dev_done",
        branch="feature/x",
        notes=f"branch: feature/x\ncommit: {commit}",
    )
    desk.play({"bash": "cat new.txt"})
    done = desk.run(role="qa")
    assert done.returncode == 0, done.stdout + done.stderr
    said = desk.prompts()
    assert "+a line to judge" in said
    assert "You have no git" in said


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("hooks/post-checkout", marks=pytest.mark.extended),
        "hooks/reference-transaction",
        "config",
    ],
)
def test_what_an_allowed_command_plants_in_git_is_never_run_by_the_runner(
    claude_desk: ClaudeDesk, name: str
) -> None:
    desk = claude_desk
    desk.change(claude={**OFF, "allow": ["sh ./build.sh"]})
    mark = desk.directory / "ran"
    place = desk.repo / ".git" / name
    said = f"[core]\\n\\tfsmonitor = touch {mark}\\n" if name == "config" else f"#!/bin/sh\\ntouch {mark}\\n"
    build = f"mkdir -p {place.parent}\nprintf '{said}' >> {place}\nchmod +x {place}\ntouch {desk.directory}/built\n"
    (desk.repo / "build.sh").write_text(build, encoding="utf-8")
    desk.git("add", "-A")
    desk.git("commit", "-q", "-m", "a build script")
    desk.play(WRITE, {"bash": "sh ./build.sh"})
    desk.board.add_task(complexity="major")
    done = desk.run()
    assert "Traceback" not in done.stderr
    assert (desk.directory / "built").exists()
    assert not mark.exists()


def test_without_bubblewrap_the_agent_has_no_git_and_the_operator_hears_of_it(
    claude_desk: ClaudeDesk,
) -> None:
    desk = claude_desk
    desk.__class__ = WithoutBubblewrap
    mark = desk.directory / "written"
    desk.play(WRITE, {"bash": f"git log -p --output={mark}"})
    task = desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agent's shell: not sandboxed" in (done.stderr or done.stdout).splitlines()[0]
    assert "You have no git" in desk.prompts()
    assert not mark.exists()
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    health = desk.hpm("health").stdout
    assert "bwrap not found" in health
    assert "apt-get install bubblewrap" in health
    desk.change(claude={"sandbox": True})
    assert desk.run().returncode == 78


@pytest.mark.parametrize(
    "settings",
    [pytest.param({}, marks=pytest.mark.needs("bwrap")), pytest.param(OFF, marks=pytest.mark.extended)],
)
def test_a_place_with_spaces_in_its_path(
    claude_desk: ClaudeDesk, tmp_path: Path, settings: dict[str, bool]
) -> None:
    desk = claude_desk
    places = tmp_path / "work places (two)"
    desk.change(worktree_base=str(places), **({"claude": settings} if settings else {}))
    planted = desk.repo / ".git" / "refs" / "heads" / "planted"
    desk.play(WRITE, {"bash": f"git rev-parse HEAD > '{planted}'"}, {"bash": f"touch '{places}/outside'"})
    task = desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    assert not planted.exists()
    assert not (places / "outside").exists()

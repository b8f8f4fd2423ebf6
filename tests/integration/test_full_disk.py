"""Disks that are really full or read-only: a run ends with a clear error, tears no record and loses no work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.campaign.bench import DEV, LONGEST, Bench, Done, Fault, make_template, single
from tests.campaign.invariants import Story, unreadable_records, violations
from tests.campaign.scenario import GIVEN, MADE, WORK, Scenario, major, task
from tests.campaign.scenarios import RUNNING
from tests.support import forkserver
from tests.support.disks import SmallDisk
from tests.support.runners import HPM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest

FULL = Fault("the disk", "enospc")
MAJOR = replace(RUNNING["maker major"], changelog=rf"{MADE}{GIVEN}? under_work dev_done", restarts=(0,))
CLEAR = re.compile(
    r"^(?:[-\d]+ [:\d]+ )?(?:error|warning): .*(No space left|File too large|Read-only file system|git )",
    re.MULTILINE,
)
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "hpm_tools.cli.hpm", *sys.argv[2:]])
"""


class FullBench(Bench):
    """A bench whose commands write no failpoints: on a full disk the log of them would be the first to fail."""

    limit: int | None = None
    temporary_directory = ""

    def command(self, *arguments: object, fault: Fault | None = None, within: float = LONGEST) -> Done:
        argv = tuple(map(str, arguments))
        began = time.monotonic()
        limited = [sys.executable, "-c", LIMITED, str(self.limit)] if self.limit is not None else HPM
        done = forkserver.run([*limited, *argv], cwd=self.repo, env=self.environment, timeout=within)
        return Done(argv, done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    @property
    def environment(self) -> dict[str, str]:
        # Python itself keeps half a .pyc where a file may not grow, and fails on it ever after.
        environment = {**super().environment, "PYTHONDONTWRITEBYTECODE": "1"}
        return environment | ({"TMPDIR": self.temporary_directory} if self.temporary_directory else {})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "repo")


@pytest.fixture
def bench(tmp_path: Path, exact_board: BoardUnderTest, template: Path) -> Iterator[FullBench]:
    (tmp_path / "bench").mkdir()
    bench = FullBench(tmp_path / "bench", exact_board, template)
    bench.configure(hooks_dir=str(content_hooks(tmp_path / "hooks")))
    yield bench
    bench.end()


def content_hooks(directory: Path) -> Path:
    """Hooks that look at no disk: one may fill up after they looked."""
    directory.mkdir(mode=0o700)
    for name in ("pre_task", "health_check"):
        hook = directory / f"{name}.sh"
        hook.write_text("#!/bin/sh\n", encoding="utf-8")
        hook.chmod(0o700)
    return directory


def begin(bench: FullBench, scenario: Scenario, number: int) -> Story:
    """Run the scenario once, on the disk as it is now."""
    story = Story(bench, scenario, number, FULL)
    story.disturbed.append(bench.command(*single(scenario.role, scenario.agent)))
    assert list(unreadable_records(bench)) == []
    return story


def finish(story: Story) -> None:
    """Run it again where there is room; then every invariant must hold."""
    story.restarted.append(story.bench.command(*single(story.scenario.role, story.scenario.agent)))
    problems = violations(story)
    assert problems == [], "\n".join([*problems, *map(str, story.commands)])


@pytest.mark.parametrize("limit", [0, 700, 2500])
def test_files_that_may_not_grow(bench: FullBench, limit: int) -> None:
    number = major(bench)
    bench.limit = limit
    story = begin(bench, MAJOR, number)
    assert story.disturbed[0].code in (1, 73, 78), story.disturbed[0]
    assert CLEAR.search(story.disturbed[0].stderr), story.disturbed[0]
    bench.limit = None
    finish(story)


@contextmanager
def state_on(bench: FullBench) -> Iterator[SmallDisk]:
    """The state directory is a disk of its own."""
    kept = (bench.state / "config.yaml").read_bytes()
    with SmallDisk(bench.state, 1 << 20) as disk:
        (bench.state / "config.yaml").write_bytes(kept)
        (bench.state / "config.yaml").chmod(0o600)
        yield disk


@pytest.mark.parametrize("pages", [0, 4, 8])
def test_a_full_state_directory(bench: FullBench, pages: int) -> None:
    number = major(bench)
    with state_on(bench) as disk:
        disk.fill(leave=pages * 4096)
        story = begin(bench, MAJOR, number)
        assert story.disturbed[0].code in (1, 73, 78), story.disturbed[0]
        assert CLEAR.search(story.disturbed[0].stderr), story.disturbed[0]
        disk.empty()
        finish(story)


def test_a_full_temporary_directory(bench: FullBench) -> None:
    number = major(bench)
    # A long path would not be used: the CLI's sockets do not fit below it.
    with SmallDisk(Path(tempfile.mkdtemp(dir="/tmp", prefix="hpm-")), 1 << 20) as disk:
        bench.temporary_directory = str(disk.path)
        disk.fill()
        story = begin(bench, MAJOR, number)
        assert story.disturbed[0].code in (1, 73, 78), story.disturbed[0]
        assert CLEAR.search(story.disturbed[0].stderr), story.disturbed[0]
        disk.empty()
        finish(story)
    disk.path.rmdir()


@contextmanager
def repository_on(bench: FullBench) -> Iterator[SmallDisk]:
    """The repository is on a disk of its own, with the ballast beside it."""
    apart = bench.directory / "disk"
    with SmallDisk(apart) as disk:
        subprocess.run(["cp", "-a", str(bench.repo), str(apart / "repo")], check=True, timeout=600)
        bench.repo = apart / "repo"
        yield disk


def test_a_repository_without_room_for_a_worktree(bench: FullBench) -> None:
    number = major(bench)
    with repository_on(bench) as disk:
        disk.fill()
        story = begin(bench, MAJOR, number)
        assert story.disturbed[0].code in (1, 73), story.disturbed[0]
        assert CLEAR.search(story.disturbed[0].stderr), story.disturbed[0]
        disk.empty()
        finish(story)


def test_a_repository_that_an_agent_fills(bench: FullBench) -> None:
    """What git cannot take in stays where it is, and the board is told where."""
    with repository_on(bench) as disk:
        number = task(bench, [*WORK, {"fill": str(disk.ballast)}])
        parked = replace(
            MAJOR, changelog=rf"{MADE} under_work pending", codes=(1,), restarts=(3,), worktrees=1
        )
        story = begin(bench, parked, number)
        assert story.disturbed[0].code == 1, story.disturbed[0]
        assert "git cannot keep it" in (story.row["notes"] or ""), story.disturbed[0]
        disk.empty()
        finish(story)


def test_the_shipped_hooks_see_it_coming(bench: FullBench) -> None:
    number = major(bench)
    bench.configure(hooks_dir=None)
    with state_on(bench) as disk:
        disk.fill(leave=64 << 10)
        refused = bench.command("run", "--role", "backend_dev", "--agent-id", DEV, "--single-task")
    assert refused.code == 1, refused
    assert "GiB free at" in refused.stderr
    assert bench.board.statuses(number) == ["pending", "created"]


WRITING = {
    "run": ("--role", "backend_dev", "--agent-id", DEV, "--single-task"),
    "lock": ("--agent-id", DEV, "--task-id", 1),
    "lock --local": ("--agent-id", DEV, "--task-id", 1),
    "trust": (),
    "recover": ("--agent-id", DEV),
}


def test_a_read_only_home(bench: FullBench) -> None:
    number = major(bench)
    (bench.repo / "invoke.yaml").write_text("hpm:\n  level: senior\n", encoding="utf-8")
    with SmallDisk(bench.home) as disk:
        disk.lock()
        for name, words in WRITING.items():
            command, *flags = name.split()
            done = bench.hpm(command, *flags, *words, HEADLESS_PM_HOME="")
            assert done.returncode in (73, 78), (name, done)
            assert CLEAR.search(done.stderr), (name, done)
            assert "Traceback" not in done.stderr
    assert bench.board.statuses(number) == ["pending", "created"]
    assert bench.board.task(number)["locked_by"] is None
    assert not os.path.exists(bench.home / ".headless-pm")

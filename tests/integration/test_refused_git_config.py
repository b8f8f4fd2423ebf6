"""An agent leaves a git configuration that git refuses: its task parks, pick-up for that repository waits for a person."""

from __future__ import annotations

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
MANY = "".join(f'[filter "f{number}"]\n\tclean = cat\n' for number in range(2001))
LATER_GIT = "[core]\n\trepositoryformatversion = 99\n"
BREAKS = {
    "format of a later git": (LATER_GIT, "repositoryformatversion = 99"),
    "unknown extension": (
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tfancy = true\n",
        "fancy = true",
    ),
    "2,001 filters": (MANY, '[filter "f2000"]'),
    "no configuration": ("[core\n", "bad config line"),
}
SOON = 20.0


@pytest.mark.fault("D5")
@pytest.mark.parametrize(
    "kind",
    [kind if kind == "2,001 filters" else pytest.param(kind, marks=pytest.mark.extended) for kind in BREAKS],
)
def test_task_parks_and_nothing_is_taken_until_the_line_is_mended(desk: Desk, kind: str) -> None:
    desk.change(retry_pause=0.2)
    text, named = BREAKS[kind]
    config = desk.repo / ".git" / "config"
    before = config.read_bytes()
    addition = desk.directory / "addition"
    addition.write_text(text, encoding="utf-8")
    acts = {"write": ["a.txt", "a\n"]}, {"run": ["sh", "-c", f"cat {addition} >> {config}"]}
    broken = desk.board.add_task(description=script(*acts), complexity="major")["id"]
    later = desk.board.add_task(description=script({"write": ["b.txt", "b\n"]}), complexity="major")["id"]
    with desk.start(*RUN) as runner:
        wait_until(lambda: "no task is taken" in runner.output(), SOON, "the notice")
        said = runner.output()
        config.write_bytes(before)
        wait_until(lambda: desk.board.task(later)["status"] == "dev_done", SOON, "the next task")
        assert runner.process.poll() is None
    (notice,) = [line for line in said.splitlines() if "no task is taken" in line]
    assert named in notice
    assert str(config) in notice
    assert f"task {later} taken" not in said
    assert desk.board.task(broken)["status"] == "pending"
    assert runner.output().count("no task is taken") == 1


@pytest.mark.fault("D5")
def test_start_is_refused_with_the_line(desk: Desk) -> None:
    config = desk.repo / ".git" / "config"
    config.write_text(config.read_text(encoding="utf-8") + LATER_GIT, encoding="utf-8")
    task = desk.board.add_task(description=script({"write": ["b.txt", "b\n"]}), complexity="major")
    done = desk.hpm(*RUN, "--single-task")
    assert done.returncode == 78
    assert f"{config}, line " in done.stderr
    assert "repositoryformatversion = 99" in done.stderr
    assert desk.board.task(task["id"])["status"] == "created"

"""What a person reads from a hint, and which process of a wrapped runner is `hpm`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.waiting import wait_until
from tests.worlds.repair import command_of
from tests.worlds.site import hpm_below
from tests.worlds.undoing import TOLD


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        ("unlock --agent-id dev_001 gives it back", ["unlock", "--agent-id", "dev_001"]),
        ("recover --agent-id dev_001 --adopt takes it over", ["recover", "--agent-id", "dev_001", "--adopt"]),
        ("retry 12 offers it again", ["retry", "12"]),
        ("worktree.prune", ["worktree.prune"]),
        ("worktree.remove --path '/a b' removes it", ["worktree.remove", "--path", "/a b"]),
        ("unlock --agent-id 'dev", []),
    ],
)
def test_a_command_ends_where_its_hint_goes_on_in_prose(hint: str, words: list[str]) -> None:
    assert command_of(hint) == words


@pytest.mark.parametrize(
    "hint",
    [
        "  a file that names it is: rm /r/.git && echo 'gitdir: /l' > /r/.git",
        "- HEAD was moved; to undo it: git symbolic-ref HEAD refs/heads/main",
        "  take this name away, and a new guard is made: rm /s/locks/agent-dev_001.guard",
        "  what stands there may be moved: mv /s/agent-dev_001.guard /s/agent-dev_001.guard.aside",
    ],
)
def test_commands_that_are_printed_to_be_given(hint: str) -> None:
    found = TOLD.search(f"error: it is broken\n{hint}\n[dev_001: exit code 78]\n")
    assert found is not None
    assert found[1] == hint.partition(": ")[2]


def test_the_runner_below_a_wrapper_that_waits_for_it_is_found() -> None:
    runner = [sys.executable, "-c", "import time; time.sleep(60)", "hpm_tools.cli.hpm"]
    wrapper = subprocess.Popen(["sh", "-c", '"$@"; exit $?', "sh", *runner], start_new_session=True)
    try:
        wait_until(lambda: hpm_below(wrapper.pid) != wrapper.pid, what="the process below the wrapper")
        with open(f"/proc/{hpm_below(wrapper.pid)}/cmdline", "rb") as file:
            assert file.read().split(b"\0")[0] == sys.executable.encode()
    finally:
        subprocess.run(["kill", "-9", "--", f"-{wrapper.pid}"], check=False)
        wrapper.wait()

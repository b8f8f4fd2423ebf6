"""What the runner, and scripts that do what it does, are doing when the fault comes."""

from __future__ import annotations

from typing import Any

from hpm_tools.state import prompts
from hpm_tools.state.paths import StateDir
from tests.campaign.bench import DEV, IGNORED, LONGEST, Bench, Done, Fault, single
from tests.campaign.scenario import BLOCKED, GIVEN, MADE, OWN_BRANCH, WORK, Acts, Scenario, major, task
from tests.support.repos import (
    make_repo,
)
from tests.support.runners import (
    HPM,
)
from tests.support.waiting import wait_until

QA = "qa_001"
DONE: dict[str, str] = {"status": "done", "summary": "did \x1b[31mas told\x07"}
REJECTED = {"status": "rejected", "summary": "no tests", "findings": ["test_big.py is missing"]}
LEAVE: Acts = [{"write": "left.txt"}]


def minor(bench: Bench) -> int:
    return task(bench, WORK, complexity="minor")


def in_review(bench: Bench, *acts: Acts, **more: Any) -> int:
    """A task whose work is committed and reported, as a maker leaves it."""
    number = task(bench, *(acts or (LEAVE,)), status="pending", **more)
    bench.git("branch", f"feature/task-{number}", "main")
    commit = bench.git("rev-parse", "main")
    bench.board.put(number, "pm1", "created")
    bench.board.put(number, "pm1", "dev_done", f"branch: feature/task-{number}\ncommit: {commit}")
    return number


def dirty(bench: Bench) -> int:
    (bench.repo / "mine.txt").write_text("do not touch\n", encoding="utf-8")
    (bench.repo / "README.md").write_text("mine too\n", encoding="utf-8")
    return minor(bench)


def refusing(bench: Bench) -> int:
    hooks = bench.directory / "hooks"
    hooks.mkdir(mode=0o700)
    hook = hooks / "pre_task.sh"
    hook.write_text("#!/bin/sh\nprintf 'no \\033[31mroom\\n' >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o700)
    bench.configure(hooks_dir=str(hooks))
    return major(bench)


def stolen(bench: Bench) -> int:
    return task(bench, [*WORK, {"steal": str(bench.board.db)}, {"wait": 20}])


def crashing(bench: Bench) -> int:
    return task(bench, [*WORK, {"kill": 9}], WORK)


def dear(bench: Bench) -> int:
    """Every run costs more than the day may, and fails."""
    return task(bench, WORK, outcomes=[{**DONE, "cost_usd": 2.5}], exits=[3])


def idle(bench: Bench) -> int:
    return task(bench, [{"say": "I looked \x1b[5maround"}])


def killed_sandbox(bench: Bench) -> int:
    return task(bench, [*WORK, {"placeholder": ".bashrc"}, {"placeholder": ".gitconfig"}])


def astray(bench: Bench) -> int:
    """Work in the stash and in a worktree of the agent's own; only the first run makes that."""
    stashed: Acts = [{"write": "left.txt"}, {"git": ["stash", "push", "-q", "-u"]}]
    place: Acts = [
        {"git": ["worktree", "add", "-q", "-b", "own", "../../own"]},
        {"write": "../../own/far.txt"},
    ]
    return task(bench, [*place, *stashed], stashed)


def on_own_branch(bench: Bench) -> int:
    """In a worktree of the agent's own, too; only the first run makes it."""
    commit: Acts = [
        {"git": ["-C", "../../own", *words]} for words in (["add", "-A"], ["commit", "-q", "-m", "W"])
    ]
    place: Acts = [
        {"git": ["worktree", "add", "-q", "-b", "own", "../../own"]},
        {"write": "../../own/big.txt"},
    ]
    return task(bench, [*place, *commit], WORK)


def expire(bench: Bench, number: int) -> None:
    """The board's clean-up of an agent that was silent for 30 minutes."""
    bench.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", number)


def pointing_elsewhere(bench: Bench) -> int:
    return task(bench, [*WORK, {"break_pointer": "/nowhere"}])


def precious(bench: Bench) -> int:
    return task(bench, [*WORK, {"write": IGNORED}])


def with_local_file(bench: Bench) -> int:
    (bench.repo / f"{IGNORED}.local").write_text("for every worktree\n", encoding="utf-8")
    return major(bench)


def with_submodule(bench: Bench) -> int:
    """The checkout has a submodule, which the task's worktree gets from there."""
    lib = make_repo(bench.directory / "lib")
    bench.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.root), "lib")
    bench.git("commit", "--quiet", "-m", "Add a submodule")
    return major(bench)


def in_the_way(bench: Bench) -> int:
    number = major(bench)
    place = bench.repo / ".worktrees" / f"task-{number}"
    place.mkdir(parents=True)
    (place / "whose.txt").write_text("unknown\n", encoding="utf-8")
    return number


def no_worktrees(bench: Bench) -> int:
    """No worktree can be made: the directory for them cannot be written."""
    base = bench.directory / "closed"
    base.write_text("a file, no directory\n", encoding="utf-8")
    bench.configure(worktree_base=str(base / "below"))
    return major(bench)


def corrupt(bench: Bench) -> int:
    """The record is torn while the board says that the task is ours and under work."""
    number = major(bench)
    board = bench.board
    board.register(DEV)
    assert board.lock(number, DEV).status == 200
    board.put(number, DEV, "under_work")
    locks = bench.state / "locks"
    locks.mkdir(mode=0o700)
    record = locks / f"agent-{DEV}.lock"
    record.write_text('{"schema": 1, "task_id": ', encoding="utf-8")
    record.chmod(0o600)
    return number


def scripted(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    """The loop of the shell runner; like it, it ends at the first command that fails, its lock's owner with it."""
    mine: tuple[str, ...] = ("--agent-id", DEV)
    done: list[Done] = []

    def succeeds(*words: object) -> bool:
        strikes = fault is not None and fault.command == len(done)
        done.append(bench.command(*words, fault=fault if strikes else None))
        return done[-1].code == 0

    try:
        if succeeds("pm.register", *mine, "--role", "backend_dev", "--level", "principal") and succeeds(
            "lock", *mine, "--task-id", number, "--owner-pid", bench.own()
        ):
            mine = (*mine, "--token", done[-1].stdout.strip())
            all(succeeds(name, *mine) for name in ("claude.exec", "finish", "worktree.remove", "unlock"))
    finally:
        bench.disown()
    return done


def unlocking(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    return [bench.command("unlock", "--agent-id", DEV, fault=fault)]


def recovering(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    return [bench.command("recover", "--agent-id", DEV, fault=fault)]


def answering(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    """Answer a runner that waits in the background; it is waited for at once, or by ``answer_again``."""
    bench.begin(*single(scenario.role, scenario.agent))
    waits = StateDir(str(bench.state))
    wait_until(lambda: prompts.waiting(waits, scenario.agent), LONGEST, "the question")
    done = [bench.command(*ANSWER, fault=fault)]
    return done if fault is not None else [*done, bench.await_begun()]


def answer_again(bench: Bench, scenario: Scenario, number: int) -> list[Done]:
    return [bench.command(*ANSWER), bench.await_begun()]


def unlock_again(bench: Bench, scenario: Scenario, number: int) -> list[Done]:
    return [bench.command("unlock", "--agent-id", DEV)]


def answered_by_its_notice(bench: Bench) -> int:
    """The agent is blocked; the command that hears of the question answers it."""
    package = [f"PYTHONPATH={bench.package}"] if bench.package else []
    bench.configure(prompt={"notify": ["env", *package, *HPM, *ANSWER]})
    return blocked(bench)


def blocked(bench: Bench) -> int:
    return task(bench, WORK, outcomes=[BLOCKED])


def run_adopting(bench: Bench, scenario: Scenario, number: int) -> list[Done]:
    """A record adopted by hand is proof of nothing: it takes a person to pass it on."""
    again = bench.command("recover", "--agent-id", DEV, "--adopt", "--owner-pid", bench.own())
    bench.disown()
    return [again, bench.command(*single("backend_dev", DEV))]


ANSWER = ("answer", "--agent-id", DEV, "--choice", "park")
WORKED = f"{MADE} under_work dev_done"

RUNNING: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("maker major", major, WORKED, branches=OWN_BRANCH),
        # The only one with the shipped hooks: tests/unit/test_shipped_hooks.py has what they do.
        Scenario("maker minor", minor, WORKED, settings={"hooks_dir": None}),
        Scenario("dirty checkout", dirty, WORKED, branches=OWN_BRANCH, keeps=("mine.txt", "README.md")),
        Scenario(
            "qa",
            in_review,
            rf"{MADE} dev_done under_work qa_done",
            role="qa",
            agent=QA,
            branches=OWN_BRANCH,
            salvages=(1, 2),
        ),
        Scenario(
            "qa rejects",
            lambda bench: in_review(bench, outcomes=[REJECTED]),
            rf"{MADE} dev_done under_work created",
            role="qa",
            agent=QA,
            branches=OWN_BRANCH,
            salvages=(1, 2),
        ),
        Scenario(
            "parked major",
            blocked,
            rf"{MADE} under_work pending",
            codes=(1,),
            branches=OWN_BRANCH,
        ),
        Scenario(
            "asked",
            answered_by_its_notice,
            rf"{MADE} under_work pending",
            codes=(1,),
            branches=OWN_BRANCH,
            settings={"on_problem": "ask"},
        ),
        Scenario(
            "answered",
            blocked,
            rf"{MADE} under_work pending",
            codes=(1,),
            branches=OWN_BRANCH,
            play=answering,
            again=answer_again,
            settings={"on_problem": "ask"},
        ),
        Scenario(
            "parked minor",
            lambda bench: task(bench, WORK, outcomes=[BLOCKED], complexity="minor"),
            rf"{MADE} under_work pending",
            codes=(1,),
            salvages=(1, 1),
        ),
        Scenario("given back", refusing, rf"{MADE}{GIVEN}{{1,2}}", codes=(1,)),
        Scenario(
            "lost lock",
            stolen,
            rf"{MADE} under_work",
            codes=(1,),
            holder="other_001",
            branches=OWN_BRANCH,
            salvages=(1, 2),
        ),
        Scenario("crashing agent", crashing, WORKED, branches=OWN_BRANCH),
        Scenario(
            "day's budget",
            dear,
            rf"{MADE} under_work pending",
            codes=(1,),
            restarts=(1, 75),
            branches=OWN_BRANCH,
            settings={"budget": {"agent_daily_usd": 2}},
        ),
        Scenario("nothing done", idle, rf"{MADE} under_work pending", codes=(1,), branches=OWN_BRANCH),
        Scenario(
            "astray",
            astray,
            rf"{MADE} under_work pending",
            codes=(1,),
            branches=f"{OWN_BRANCH} own",
            salvages=(1, 3),
        ),
        Scenario("on its own branch", on_own_branch, WORKED, branches=f"{OWN_BRANCH} own"),
        Scenario("killed sandbox", killed_sandbox, WORKED, branches=OWN_BRANCH),
        Scenario("ignored files", precious, WORKED, branches=OWN_BRANCH, salvages=(1, 1)),
        Scenario("broken pointer", pointing_elsewhere, WORKED, branches=OWN_BRANCH),
        Scenario(
            "set-up",
            with_local_file,
            WORKED,
            branches=OWN_BRANCH,
            settings={
                "worktree": {"copy": [f"{IGNORED}*"], "setup": ["sh", "-c", "echo ready > ready.txt.0"]}
            },
            # Killed just after the set-up: what it made is salvaged with the worktree that is made anew.
            salvages=(0, 1),
        ),
        Scenario("submodule", with_submodule, WORKED, branches=OWN_BRANCH),
        Scenario("in the way", in_the_way, WORKED, branches=OWN_BRANCH),
        Scenario("no worktree", no_worktrees, WORKED, branches=OWN_BRANCH),
        Scenario("corrupt record", corrupt, WORKED, branches=OWN_BRANCH),
        Scenario(
            "resumed",
            major,
            WORKED,
            branches=OWN_BRANCH,
            prelude=Fault("agent.journalled", "kill"),
            lingering=True,
        ),
        Scenario(
            "expired lock",
            major,
            WORKED,
            branches=OWN_BRANCH,
            prelude=Fault("agent.journalled", "kill"),
            between=expire,
            lingering=True,
        ),
        Scenario("script", major, WORKED, branches=OWN_BRANCH, play=scripted),
        Scenario(
            "unlock",
            major,
            rf"{MADE}{GIVEN}",
            prelude=Fault("working.before", "kill"),
            play=unlocking,
            again=unlock_again,
            branches=OWN_BRANCH,
            worktrees=1,
        ),
        Scenario(
            "recover",
            major,
            WORKED,
            prelude=Fault("agent.journalled", "kill"),
            lingering=True,
            play=recovering,
            again=run_adopting,
            branches=OWN_BRANCH,
        ),
    )
}
"""The runner, and scripts that do what it does."""

"""Single commands that change state, each killed and repeated, and what must be true besides the invariants."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from hpm_tools.commands.project import SETTINGS_TEXT, TASKS_TEXT
from tests.campaign.bench import DEV, IGNORED, Bench, Done, Fault
from tests.campaign.invariants import holds
from tests.campaign.scenario import GIVEN, MADE, OWN_BRANCH, Scenario, major, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.campaign.invariants import Story

PM = "hpm_pm"
TITLE = "Add what was interrupted"
COMMENT = "as it is said once"
MONTH_AGO = 40 * 86400


def registered(bench: Bench) -> int:
    bench.board.register(DEV)
    return major(bench)


def pending(bench: Bench) -> int:
    bench.board.register(DEV)
    return task(bench, status="pending")


def left_under_work(bench: Bench) -> int:
    """A task that is under work although no agent holds it."""
    bench.board.register(DEV)
    number = task(bench, status="created")
    bench.board.put(number, DEV, "under_work")
    return number


def registered_once(story: Story) -> Iterator[str]:
    """The agent is registered, once."""
    rows = [row for row in story.bench.board.ok("GET", "/agents") if row["agent_id"] == DEV]
    if len(rows) != 1:
        yield f"{DEV} is registered {len(rows)} times"


def added_once(story: Story) -> Iterator[str]:
    """A second task only where the first add was over but for its answer, and none that nobody is offered."""
    board = story.bench.board
    rows = [row for row in board.ok("GET", "/tasks") if row["title"] == TITLE]
    if any(row["status"] != "created" for row in rows):
        yield f"a task was left behind: {[row['status'] for row in rows]}"
    acts = ("register", "epic", "feature", "task", "status")
    over = story.fault is not None and story.disturbed[0].reached.count("board.after") == len(acts)
    if len(rows) != 1 and not (over and len(rows) == 2):
        yield f"{len(rows)} tasks were added"
    epics = [row for row in board.ok("GET", "/epics") if row["name"] == "Epic"]
    features = [row for epic in epics for row in board.ok("GET", f"/features/{epic['id']}")]
    if (len(epics), len(features)) != (1, 1):
        yield f"{len(epics)} epics, {len(features)} features"


def commented(story: Story) -> Iterator[str]:
    """The comment is there, and twice only where the first one had arrived."""
    said = (story.row["notes"] or "").count(COMMENT)
    arrived = "board.after" in story.disturbed[0].reached and story.fault is not None
    if said != (2 if arrived else 1):
        yield f"said {said} times: {story.row['notes']!r}"


def initialised(story: Story) -> Iterator[str]:
    """Both files are whole and excluded once."""
    for name, text in (("tasks.py", TASKS_TEXT), ("invoke.yaml", SETTINGS_TEXT)):
        path = story.bench.repo / name
        content = path.read_text(encoding="utf-8") if path.exists() else None
        if content != text:
            yield f"{name} is missing or half written: {content!r}"
    excluded = (story.bench.repo / ".git" / "info" / "exclude").read_text(encoding="utf-8").splitlines()
    for line in ("/tasks.py", "/invoke.yaml"):
        if excluded.count(line) != 1:
            yield f"{line} is excluded {excluded.count(line)} times"


def with_settings(bench: Bench) -> int:
    (bench.repo / ".git" / "info").mkdir(exist_ok=True)
    (bench.repo / ".git" / "info" / "exclude").write_text("/invoke.yaml\n", encoding="utf-8")
    (bench.repo / "invoke.yaml").write_text("hpm:\n  level: senior\n", encoding="utf-8")
    return major(bench)


def trusted(story: Story) -> Iterator[str]:
    """Exactly the present file is approved."""
    approved = hashlib.sha256((story.bench.repo / "invoke.yaml").read_bytes()).hexdigest()
    found = [json.loads(path.read_bytes())["sha256"] for path in (story.bench.state / "trust").iterdir()]
    if found != [approved]:
        yield f"approved are {found}, not {[approved]}"


def worktree_of(bench: Bench, number: int) -> None:
    """A worktree of the task with uncommitted and ignored work in it, as an agent would leave it."""
    made = bench.command("worktree.add", "--task-id", number)
    assert made.code == 0, made
    leave_work(bench, number)


def leave_work(bench: Bench, number: int) -> None:
    place = bench.repo / ".worktrees" / f"task-{number}"
    for name in ("left.txt.1", f"{IGNORED}.1"):
        text = f"left in the worktree of task {number}: {name}\n"
        (place / name).write_text(text, encoding="utf-8")
        bench.note_write(number, place / name, text)


def adding_and_removing(bench: Bench, scenario: Scenario, number: int, fault: Fault | None) -> list[Done]:
    done = [
        bench.command(
            "worktree.add", "--task-id", number, fault=fault if fault and not fault.command else None
        )
    ]
    if fault is None or fault.command:
        leave_work(bench, number)
        done.append(bench.command("worktree.remove", "--task-id", number, fault=fault))
    return done


def add_and_remove_again(bench: Bench, scenario: Scenario, number: int) -> list[Done]:
    return [
        bench.command(*words)
        for words in (("worktree.add", "--task-id", number), ("worktree.remove", "--task-id", number))
    ]


def set_aside(bench: Bench) -> int:
    number = major(bench)
    worktree_of(bench, number)
    removed = bench.command("worktree.remove", "--task-id", number)
    assert removed.code == 0, removed
    return number


def salvage_refs(bench: Bench) -> list[str]:
    return bench.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()


def restored(story: Story) -> Iterator[str]:
    """All of the work stands in the directory that the last command named."""
    place = story.commands[-1].stdout.strip()
    for number, _, path, text in story.bench.writes():
        there = os.path.join(place, os.path.basename(path))
        if not holds(there, text.encode()):
            yield f"{there}, of task {number}, was not restored"


def two_salvages(bench: Bench) -> int:
    """Work of two tasks was set aside, that of the first 40 days ago, and a third's worktree has vanished."""
    old, new, gone = (major(bench) for _ in range(3))
    for number in (old, new):
        worktree_of(bench, number)
        removed = bench.command("worktree.remove", "--task-id", number)
        assert removed.code == 0, removed
    ref = next(ref for ref in salvage_refs(bench) if f"/{old}/" in ref)
    age_salvage(bench, ref)
    bench.forget_writes(old)
    assert bench.command("worktree.add", "--task-id", gone).code == 0
    shutil.rmtree(bench.repo / ".worktrees" / f"task-{gone}")
    return new


def age_salvage(bench: Bench, ref: str) -> None:
    made = int(time.time()) - MONTH_AGO
    message = bench.git("show", "-s", "--format=%B", ref)
    environment = {
        **bench.environment,
        "GIT_COMMITTER_DATE": f"@{made} +0000",
        "GIT_AUTHOR_DATE": f"@{made} +0000",
    }
    parents = [
        word for parent in bench.git("show", "-s", "--format=%P", ref).split() for word in ("-p", parent)
    ]
    words = ["git", "commit-tree", f"{ref}^{{tree}}", *parents]
    aged = subprocess.run(
        words, cwd=bench.repo, env=environment, input=message, capture_output=True, text=True, check=True
    )
    bench.git("update-ref", ref, aged.stdout.strip())
    for path in archives(bench):
        if path.name in message:
            os.utime(path, (made, made))


def archives(bench: Bench) -> list[os.DirEntry[str]]:
    return sorted(os.scandir(bench.repo / ".git" / "hpm" / "archive"), key=lambda entry: entry.name)


def pruned(story: Story) -> Iterator[str]:
    """What was too young stays, with its archive; what was named goes, with its archive."""
    refs = salvage_refs(story.bench)
    if not any(f"/{story.task}/" in ref for ref in refs):
        yield "a salvage was deleted that was not old enough"
    if len(refs) > 1:
        yield f"the old salvage is still there: {refs}"
    kept = [entry.name for entry in archives(story.bench)]
    if len(kept) != 1 or f"-{story.task}-" not in kept[0]:
        yield f"archives are {kept}"


def owned(bench: Bench) -> int:
    """Another living process holds the task."""
    number = registered(bench)
    locked = bench.command("lock", "--agent-id", DEV, "--task-id", number, "--owner-pid", bench.own())
    assert locked.code == 0, locked
    return number


def with_hook(bench: Bench) -> int:
    hooks = bench.directory / "hooks"
    hooks.mkdir(mode=0o700)
    hook = hooks / "pre_task.sh"
    hook.write_text("#!/bin/sh\nprintf 'seen \\033[31mit\\n'\n", encoding="utf-8")
    hook.chmod(0o700)
    bench.configure(hooks_dir=str(hooks))
    return major(bench)


BARE = "bare.txt"
SAYS_DONE = """echo '{"status": "done", "summary": "wrote it"}' > "$HPM_OUTCOME_FILE\""""


def bare(bench: Bench) -> int:
    """An agent without a task that writes one file."""
    (bench.directory / "prompt").write_text("write a file\n", encoding="utf-8")
    bench.configure(
        executor_command=["sh", "-c", f"cat > /dev/null; echo written > {shlex.quote(BARE)}; {SAYS_DONE}"]
    )
    return major(bench)


def with_old_files(bench: Bench) -> int:
    """What a runner's start tidies away: an old run's log, an old task's log, an old damaged record."""
    long_ago = time.time() - 400 * 86400
    for name in ("runs/old.jsonl", "tasks/board-7-old.json", "tasks/board-7-old.guard"):
        path = bench.state / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
        path.chmod(0o600)
        os.utime(path, (long_ago, long_ago))
    return task(bench, status="pending")


def tidied(story: Story) -> Iterator[str]:
    """What was old is gone, although the first try was cut short."""
    recently = time.time() - MONTH_AGO
    found = [path for name in ("runs", "tasks") for path in (story.bench.state / name).iterdir()]
    # A guard that was taken, to be removed, looks new until it is old again.
    left = [path.name for path in found if path.stat().st_mtime < recently]
    if left:
        yield f"old files are still there: {left}"


COMMANDS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "pm.register",
            major,
            MADE,
            check=registered_once,
            lines=(
                lambda _, n: [
                    ("pm.register", "--agent-id", DEV, "--role", "backend_dev", "--level", "senior")
                ]
            ),
        ),
        Scenario(
            "pm.add",
            major,
            MADE,
            check=added_once,
            lines=(
                lambda _, n: [
                    (
                        "pm.add",
                        "--title",
                        TITLE,
                        "--role",
                        "backend_dev",
                        "--epic",
                        "Epic",
                        "--feature",
                        "Feature",
                    )
                ]
            ),
        ),
        Scenario(
            "pm.status",
            pending,
            MADE,
            lines=(lambda _, n: [("pm.status", "--agent-id", DEV, "--task-id", n, "--status", "created")]),
        ),
        Scenario(
            "retry",
            left_under_work,
            rf"{MADE} under_work created",
            lines=(lambda _, n: [("retry", "--task-id", n)]),
        ),
        Scenario(
            "pm.comment",
            registered,
            MADE,
            check=commented,
            lines=(lambda _, n: [("pm.comment", "--agent-id", DEV, "--task-id", n, "--comment", COMMENT)]),
        ),
        Scenario("init", major, MADE, check=initialised, lines=(lambda bench, n: [("init",)])),
        Scenario(
            "trust",
            with_settings,
            MADE,
            check=trusted,
            lines=(lambda bench, n: [("trust",), ("trust", "--revoke"), ("trust",)]),
        ),
        Scenario(
            "worktree.add and remove",
            major,
            MADE,
            branches=OWN_BRANCH,
            salvages=(0, 1),
            play=adding_and_removing,
            again=add_and_remove_again,
        ),
        Scenario(
            "worktree.restore",
            set_aside,
            MADE,
            branches=OWN_BRANCH,
            salvages=(1, 1),
            worktrees=1,
            check=restored,
            lines=(lambda bench, n: [("worktree.restore", "--ref", salvage_refs(bench)[0])]),
        ),
        Scenario(
            "worktree.prune",
            two_salvages,
            MADE,
            branches="feature/task-1 feature/task-2 feature/task-3",
            salvages=(1, 1),
            check=pruned,
            lines=(lambda bench, n: [("worktree.prune", "--salvage", "--older-than", 30, "--yes")]),
        ),
        Scenario(
            "unlock --force",
            owned,
            rf"{MADE}{GIVEN}",
            restarts=(0, 3),
            lines=(lambda bench, n: [("unlock", "--agent-id", DEV, "--force")]),
        ),
        Scenario(
            "lock --local",
            major,
            MADE,
            lines=(
                lambda bench, n: [
                    ("lock", "--agent-id", DEV, "--task-id", n, "--local"),
                    ("unlock", "--agent-id", DEV, "--local"),
                ]
            ),
        ),
        Scenario(
            "hooks.run",
            with_hook,
            MADE,
            lines=(lambda bench, n: [("hooks.run", "--name", "pre_task", "--data", '{"task_id": 1}')]),
        ),
        Scenario(
            "claude.exec",
            bare,
            MADE,
            keeps=(BARE,),
            lines=(lambda bench, n: [("claude.exec", "--prompt-file", bench.directory / "prompt")]),
        ),
        Scenario("old files", with_old_files, "pending", codes=(3,), check=tidied),
    )
}

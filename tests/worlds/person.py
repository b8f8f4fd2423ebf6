"""What a person does beside the runners: by hand in the same repository, by commands of `hpm`, or on the board.

What a person does by hand is in a ledger of his own, and what he removes may be gone. What he does by commands is in
none: they must lose nothing either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register, Unavailable

if TYPE_CHECKING:
    from random import Random

    from tests.campaign.bench import Done
    from tests.worlds.site import Site

PERSON: Register[..., None] = Register("person")
PER = "per_001"
"""The agent id under which a person works."""

PM = "pm1"
WITHIN = 120.0


def a_number(chance: Random) -> dict[str, Any]:
    return {"number": chance.randrange(3)}


def a_task(site: Site, number: int) -> int:
    return site.tasks[number % len(site.tasks)] if site.tasks else 1


def an_agent(site: Site, number: int) -> str:
    return list(site.agents)[number % len(site.agents)]


def hpm(site: Site, *words: object) -> Done:
    return site.command(*words, within=WITHIN)


@PERSON.declare(weight=2.0)
def commits(site: Site) -> None:
    """A person commits a file of his own in the checkout."""
    with site.by_hand("person"):
        (site.repo / "person.txt").write_text("a person's\n", encoding="utf-8")
        site.plain_git("add", "person.txt")
        site.plain_git("commit", "--quiet", "-m", "A person's commit", "--", "person.txt")


@PERSON.declare(rows=("A5",))
def edits(site: Site) -> None:
    """A person edits a file in the checkout and does not commit it."""
    with site.by_hand("person"):
        (site.repo / "person-edit.txt").write_text("a person's edit\n", encoding="utf-8")


@PERSON.declare()
def stages(site: Site) -> None:
    """A person changes a tracked file and stages that."""
    with site.by_hand("person"):
        (site.repo / "README.md").write_text("a person's readme\n", encoding="utf-8")
        site.plain_git("add", "README.md")


@PERSON.declare()
def stashes(site: Site) -> None:
    """A person stashes what he has in the checkout."""
    with site.by_hand("person"):
        (site.repo / "README.md").write_text("a person's stashed readme\n", encoding="utf-8")
        site.plain_git("stash", "push", "--quiet", "-m", "a person's")


@PERSON.declare(draw=lambda chance: {"new": chance.random() < 0.7})
def switches(site: Site, new: bool) -> None:
    """A person switches the checkout to another branch, or detaches it."""
    with site.by_hand("person"):
        site.plain_git("switch", "--quiet", *(["-c", "person"] if new else ["--detach"]))


@PERSON.declare(draw=a_number)
def merges(site: Site, number: int) -> None:
    """A person merges a task's branch into what is checked out."""
    with site.by_hand("person"):
        site.plain_git("merge", "--quiet", "--no-edit", f"feature/task-{a_task(site, number)}")


@PERSON.declare(draw=a_number)
def merges_and_deletes(site: Site, number: int) -> None:
    """A person merges a task's branch and deletes it."""
    branch = f"feature/task-{a_task(site, number)}"
    with site.by_hand("person"):
        site.plain_git("merge", "--quiet", "--no-edit", branch)
        site.plain_git("branch", "--quiet", "-d", branch)


@PERSON.declare(weight=2.0)
def collects_garbage(site: Site) -> None:
    """A person has git throw away what nothing refers to."""
    with site.by_hand("person"):
        site.plain_git("gc", "--quiet", "--prune=now")


@PERSON.declare()
def prunes_worktrees(site: Site) -> None:
    """A person has git forget worktrees that are gone."""
    with site.by_hand("person"):
        site.plain_git("worktree", "prune")


@PERSON.declare()
def amends(site: Site) -> None:
    """A person writes the last commit of the checkout anew."""
    with site.by_hand("person"):
        site.plain_git("commit", "--quiet", "--amend", "--allow-empty", "-m", "Said better")


@PERSON.declare()
def fetches(site: Site) -> None:
    """A person fetches from a remote that has a new commit."""
    remote = site.directory / "remote"
    with site.by_hand("person"):
        if not remote.exists():
            site.plain_git("clone", "--quiet", "--bare", str(site.repo), str(remote))
            site.plain_git("remote", "add", "somewhere", str(remote))
        site.plain_git("fetch", "--quiet", "somewhere")


@PERSON.declare(draw=a_number, rows=("A6",))
def locks_task(site: Site, number: int) -> None:
    """A person takes a task by `lock`, and gives it back when he is done."""
    site.board.register(PER)
    if hpm(site, "lock", "--agent-id", PER, "--task-id", a_task(site, number)).code == 0:
        site.passing.append(lambda: hpm(site, "unlock", "--agent-id", PER))


@PERSON.declare(
    rows=("A6",), draw=lambda chance: {"status": chance.choice(("qa_done", "dev_done", "committed"))}
)
def locks_done_task(site: Site, status: str) -> None:
    """A person tries to take a task that is done, and to say that he is blocked."""
    commit = site.plain_git("rev-parse", "main").stdout.strip()
    number = site.board.add_task("created", title="Done long ago", target_role="backend_dev")["id"]
    site.board.put(number, PM, status, f"branch: main\ncommit: {commit}")
    site.board.register(PER)
    hpm(site, "lock", "--agent-id", PER, "--task-id", number)


@PERSON.declare(draw=lambda chance: {**a_number(chance), "force": chance.random() < 0.6}, weight=2.0)
def unlocks(site: Site, number: int, force: bool) -> None:
    """A person gives an agent's task back, by force or not."""
    hpm(site, "unlock", "--agent-id", an_agent(site, number), *(["--force"] if force else []))


@PERSON.declare(draw=lambda chance: {**a_number(chance), "adopt": chance.random() < 0.4}, weight=2.0)
def recovers(site: Site, number: int, adopt: bool) -> None:
    """A person takes an agent's task over, and gives it back when he has looked at it."""
    agent = an_agent(site, number)
    if hpm(site, "recover", "--agent-id", agent, *(["--adopt"] if adopt else [])).code == 0:
        site.passing.append(lambda: hpm(site, "unlock", "--agent-id", agent))


@PERSON.declare(draw=a_number)
def retries(site: Site, number: int) -> None:
    """A person offers a task again."""
    hpm(site, "retry", a_task(site, number))


@PERSON.declare(draw=a_number, weight=2.0)
def removes_worktree(site: Site, number: int) -> None:
    """A person removes a task's worktree by command."""
    hpm(site, "worktree.remove", "--task-id", a_task(site, number))


@PERSON.declare()
def prunes_by_command(site: Site) -> None:
    """A person prunes worktrees by command."""
    hpm(site, "worktree.prune")


@PERSON.declare(draw=a_number)
def adds_worktree(site: Site, number: int) -> None:
    """A person makes a task's worktree by command."""
    hpm(site, "worktree.add", "--task-id", a_task(site, number))


@PERSON.declare()
def restores(site: Site) -> None:
    """A person brings the latest salvaged work back by command."""
    refs = site.plain_git("for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/hpm/salvage")
    if not refs.stdout.strip():
        raise Unavailable("nothing is salvaged")
    hpm(site, "worktree.restore", "--ref", refs.stdout.split()[0])


@PERSON.declare(
    draw=lambda chance: {"command": chance.choice(("health", "locks", "worktree.list", "events", "report"))}
)
def looks(site: Site, command: str) -> None:
    """A person looks at how things are."""
    hpm(site, command)


@PERSON.declare(draw=a_number)
def approves(site: Site, number: int) -> None:
    """A person approves a task on the board."""
    site.board.call(
        "PUT", f"/tasks/{a_task(site, number)}/status", {"status": "approved"}, agent_id=site.board.pm()
    )


@PERSON.declare(draw=a_number)
def comments(site: Site, number: int) -> None:
    """A person comments on a task."""
    site.board.call(
        "POST",
        f"/tasks/{a_task(site, number)}/comment",
        {"comment": "Please hurry \x1b[2J"},
        agent_id=site.board.pm(),
    )

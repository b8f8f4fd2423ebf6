# ruff: noqa: ANN001, ANN201
# mypy: ignore-errors
"""The shop's own tasks, and the agents that work on it, as somebody writes them who knows Invoke and only that."""

from invoke import Collection, call, task

from hpm_tools import tasks as hpm
from hpm_tools.errors import Held
from hpm_tools.tasks import fan_out, lock, locks, pm_add, run, sessions, unlock, worktree


@task
def clean(c):
    """Remove what was built."""
    print("clean")
    c.run("rm -rf dist")


@task(pre=[clean], aliases=["make"])
def build(c, into="dist"):
    """Build the shop."""
    print(f"build {into}")
    c.run(f"mkdir -p {into}")


@task(pre=[clean, build], post=[locks], help={"to": "the stage"})
def ship(c, to="test"):
    """Ship the shop."""
    print(f"ship to {to}")


@task(
    pre=[call(lock, agent_id="migrator", task_id=1, local=True)],
    post=[call(unlock, agent_id="migrator", local=True)],
)
def migrate(c):
    """Change the database while its task is locked."""
    print("migrate", [held["task_id"] for held in locks(c)["locks"]])


@task
def book(c, number=3):
    """Take a task by hand, or say who has another one."""
    try:
        print("booked", lock(c, agent_id="dev_001", task_id=number, local=True)["task_id"])
    except Held as held:
        print("busy:", held)


@task
def grab(c):
    """Take two tasks at once, which no agent may."""
    lock(c, agent_id="dev_001", task_id=1, local=True)
    lock(c, agent_id="dev_001", task_id=2, local=True)
    print("never printed")


@task
def night(c, title, what):
    """Put a task on the board and let an agent work until it is done."""
    added = pm_add(c, title=title, description=what, role="backend_dev", complexity="minor")
    run(c, role="backend_dev", agent_id="dev_002", max_tasks=1)
    print("morning", added["id"], hpm.pm_task(c, task_id=added["id"])["status"])


agents = Collection("agents")
agents.add_task(lock, name="take", default=True)
agents.add_task(unlock, name="give_back")
ns = Collection(clean, build, ship, migrate, book, grab, night, agents, run, sessions)
ns.add_collection(worktree, name="places")
ns.add_collection(hpm)
makers = fan_out(role="backend_dev", agent_id="dev_{n:03}", count=2)
ns.configure({"hpm": {"sessions": [*makers, {"agent_id": "qa_001", "role": "qa", "level": "senior"}]}})

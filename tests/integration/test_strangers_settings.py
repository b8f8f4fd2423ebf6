"""The settings of a stranger's tasks.py: from each layer of Invoke that is the operator's own, in order.

See test_strangers_tasks.py.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import script
from tests.support.strangers_shop import WITH_AND_WITHOUT_INIT, Shop

if TYPE_CHECKING:
    from tests.support.runners import Desk

TAKE = ("agents.take", "--agent-id", "dev_007", "--task-id", "7", "--local")


UNTRUSTED = """
from hpm_tools import tasks
from invoke import Collection

ns = Collection(tasks.sessions)
ns.configure({{"hpm": {{"sessions": tasks.fan_out(role="qa"), "on_problem": "skip"}}}})
{added}
"""


@pytest.fixture
def shop(desk: Desk, init: bool) -> Shop:
    return Shop(desk, init=init)


@WITH_AND_WITHOUT_INIT
def test_settings_come_from_every_layer_in_order(shop: Shop) -> None:
    """Each layer says the opposite of the one below it."""
    desk, agents = shop.desk, iter(range(100))
    before: list[str] = []
    after: list[str] = []
    variables: dict[str, str] = {}

    def level() -> str:
        command = ("hpm.pm.register", "--role", "qa", "--agent-id", f"qa_{next(agents):03}", "--json")
        (answer,) = shop.prints(*before, *command, *after, **variables)
        return str(json.loads(answer)["level"])

    (desk.repo / "invoke.yaml").write_text("hpm: {level: junior}\n", encoding="utf-8")
    assert level() == "junior"
    shop.settings.write_text("hpm: {level: senior}\n", encoding="utf-8")
    assert level() == "senior"
    desk.configure(level="junior")
    assert level() == "junior"
    tonight = desk.directory / "tonight.yaml"
    tonight.write_text("hpm: {level: senior}\n", encoding="utf-8")
    before += ["-f", str(tonight)]
    assert level() == "senior"
    variables["INVOKE_HPM_LEVEL"] = "junior"
    assert level() == "junior"
    variables["HEADLESS_PM_LEVEL"] = "senior"
    assert level() == "senior"
    after += ["--level", "junior"]
    assert level() == "junior"


@WITH_AND_WITHOUT_INIT
def test_the_operators_own_layers_count_for_hpm_as_well(shop: Shop) -> None:
    shop.settings.write_text("hpm: {level: junior, role: qa}\n", encoding="utf-8")
    done = shop.desk.hpm("pm.register", "--agent-id", "qa_001", "--json")
    assert json.loads(done.stdout) == {"agent_id": "qa_001", "role": "qa", "level": "junior"}


@WITH_AND_WITHOUT_INIT
def test_a_task_of_ones_own_plans_work_and_has_it_done(shop: Shop) -> None:
    what = script({"write": ["hello.txt", "hello\n"]})
    printed = shop.prints("night", "--title", "Say hello", "--what", what)
    (task,) = shop.desk.board.ok("GET", "/tasks")
    assert printed[-1] == f"morning {task['id']} dev_done"
    assert shop.desk.git("show", "HEAD:hello.txt") == "hello"


@WITH_AND_WITHOUT_INIT
def test_a_session_list_starts_the_agent_that_is_named(shop: Shop) -> None:
    listed = "\n".join(shop.prints("sessions"))
    assert re.search(r"^dev_001 +backend_dev\b", listed, re.MULTILINE)
    assert re.search(r"^qa_001 +qa +senior\b", listed, re.MULTILINE)
    task = shop.desk.board.add_task(description=script({"write": ["hello.txt", "hello\n"]}))
    shop.prints("run", "--session", "dev_001", "--single-task")
    assert shop.desk.board.task(task["id"])["status"] == "dev_done"
    assert shop.desk.board.ok("GET", "/changelog")[0]["changed_by"] == "dev_001"
    done = shop.invoke("run", "--session", "dev_009", "--single-task")
    assert done.returncode == 2
    assert "dev_009" in done.stderr
    assert "dev_001, dev_002, qa_001" in done.stderr


@WITH_AND_WITHOUT_INIT
def test_completion_knows_our_values_under_their_new_names(shop: Shop) -> None:
    shop.prints(*TAKE)
    offered = shop.prints("--complete", "--", "invoke agents.give-back --agent-id ")
    assert offered == ["dev_007"]
    assert {"agents.take", "places.add"} <= set(shop.prints("--complete", "--", "invoke "))


@pytest.mark.parametrize(
    ("added", "approve"),
    [
        ("ns.add_collection(tasks)", "invoke hpm.trust"),
        ("ns.add_task(tasks.trust, name='approve')", "invoke approve"),
        ("", "import trust from hpm_tools.tasks in the tasks.py, then: invoke trust"),
    ],
    ids=["in a Collection", "renamed", "left out"],
)
def test_what_approves_the_settings_is_named_as_the_tasks_py_names_it(
    desk: Desk, added: str, approve: str
) -> None:
    shop = Shop(desk, UNTRUSTED.format(added=added), init=False)
    shop.settings.unlink()
    done = shop.invoke("sessions")
    assert done.returncode == 0
    assert f"does not set on_problem; to approve it: {approve} --repo {desk.repo}\n" in done.stderr
    if added:
        shop.prints(*approve.split()[1:])
        assert shop.invoke("sessions").stderr == ""

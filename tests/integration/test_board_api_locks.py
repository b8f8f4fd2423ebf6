"""Who is offered which task, who holds it, and for how long, in both modes, as docs/headless-pm.md, Locking, describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest

ROLES = ("frontend_dev", "backend_dev", "qa", "architect", "pm")
STATUSES = (
    "pending",
    "created",
    "under_work",
    "dev_done",
    "qa_done",
    "documentation_done",
    "committed",
    "evaluation",
    "approved",
)


def next_for(board: BoardUnderTest, role: str, level: str = "principal") -> Any:
    return board.ok("GET", "/tasks/next", role=role, level=level, timeout=0)


class TestOffers:
    def test_makers_get_their_roles_tasks_up_to_their_level(self, board: BoardUnderTest) -> None:
        feature = board.feature()
        tasks = {
            level: board.add_task("created", feature_id=feature, difficulty=level)["id"]
            for level in ("principal", "senior", "junior")
        }
        offered = {level: next_for(board, "backend_dev", level)["id"] for level in tasks}
        assert offered == tasks, "each level's oldest task, the principal's being the oldest of all"
        assert next_for(board, "frontend_dev") is None

    @pytest.mark.parametrize("status", STATUSES)
    def test_which_status_is_offered_to_whom(self, board: BoardUnderTest, status: str) -> None:
        feature = board.feature()
        for role in ROLES:
            board.add_task(status, feature_id=feature, target_role=role, difficulty="principal")
        takers = {role for role in ROLES if next_for(board, role, "principal")}
        makers = set(ROLES) - {"qa"}
        assert takers == (
            makers if status in ("created", "approved") else {"qa"} if status == "dev_done" else set()
        )
        if status == "dev_done":
            assert next_for(board, "qa", "junior")["target_role"] == ROLES[0], "of any role and difficulty"

    def test_the_oldest_comes_first_and_locked_ones_not_at_all(self, board: BoardUnderTest) -> None:
        feature = board.feature()
        first, second = (board.add_task("created", feature_id=feature)["id"] for _ in range(2))
        board.register("dev1")
        assert next_for(board, "backend_dev")["id"] == first
        assert next_for(board, "backend_dev")["id"] == first, "an offer claims nothing"
        assert board.lock(first, "dev1").status == 200
        assert next_for(board, "backend_dev")["id"] == second

    def test_role_and_level_are_asked_for_in_words(self, board: BoardUnderTest) -> None:
        queries: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, "role"),
            ({"role": "qa"}, "level"),
            ({"level": "junior"}, "role"),
        )
        for query, missing in queries:
            reply = board.call("GET", "/tasks/next", **query)
            assert reply.status == 400
            assert f"Missing required parameter '{missing}'" in reply.detail
        assert board.call("GET", "/tasks/next", role="fullstack_dev", level="senior").status == 422

    @pytest.mark.parametrize("query", [{"timeout": 0}, {"timeout": -5}, {"simulate": "true"}])
    def test_one_look_answers_null_at_once(self, board: BoardUnderTest, query: dict[str, Any]) -> None:
        reply = board.call(
            "GET", "/tasks/next", role="qa", level="senior", within=150, **query
        )  # it waits 180 s
        assert (reply.status, reply.body) == (200, b"null")


class TestLocksAndStatuses:
    @pytest.mark.parametrize("status", ["pending", "created", "committed"])
    def test_any_role_locks_any_task_once(self, board: BoardUnderTest, status: str) -> None:
        task = board.add_task(status)
        board.register("designer", "frontend_dev")
        board.register("dev2")
        locked = board.lock(task["id"], "designer").json
        assert (locked["locked_by"], locked["status"]) == ("designer", status)
        assert board.task(task["id"]) == locked
        refused = board.lock(task["id"], "dev2")
        assert refused.status == 409
        assert refused.detail.startswith(f"Task {task['id']} is already locked by another agent.")

    def test_task_and_agent_must_exist(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        for reply in (
            board.lock(99, "pm1"),
            board.lock(task["id"], "nobody"),
            board.lock(2**70, "pm1"),
            board.call("PUT", "/tasks/99/status", {"status": "created"}, agent_id="pm1"),
            board.call("PUT", f"/tasks/{task['id']}/status", {"status": "created"}, agent_id="nobody"),
        ):
            assert reply.status == 404
            assert isinstance(reply.detail, str)

    def test_working_keeps_the_lock_and_leaving_work_clears_it_whoever_says_so(
        self, board: BoardUnderTest
    ) -> None:
        task = board.add_task()["id"]
        board.register("dev1")
        board.register("dev2")
        board.lock(task, "dev1")
        assert board.put(task, "dev1", "under_work")["task"]["locked_by"] == "dev1"
        assert board.put(task, "dev1", "under_work")["task"]["locked_by"] == "dev1"
        left = board.put(task, "dev2", "dev_done")["task"]
        assert (left["locked_by"], left["locked_at"], left["status"]) == (None, None, "dev_done")

    def test_somebody_elses_change_of_status_leaves_a_lock_alone(self, board: BoardUnderTest) -> None:
        task = board.add_task("pending")["id"]
        board.register("dev1")
        board.lock(task, "dev1")
        assert board.put(task, "pm1", "created")["task"]["locked_by"] == "dev1"

    @pytest.mark.parametrize("status", STATUSES)
    def test_every_status_can_be_set_and_is_logged(self, board: BoardUnderTest, status: str) -> None:
        task = board.add_task("pending")["id"]
        reply = board.put(task, "pm1", status, "why")
        assert (reply["task"]["status"], reply["task"]["notes"]) == (status, "why")
        assert reply["task_completed"] == task
        newest = board.ok("GET", "/changelog", limit=1)[0]
        assert newest | {"id": 0, "changed_at": ""} == {
            "id": 0,
            "task_id": task,
            "old_status": "pending",
            "new_status": status,
            "changed_by": "pm1",
            "notes": "why",
            "changed_at": "",
        }

    @pytest.mark.parametrize("status", ["completed", "testing", "failed", "blocked", "DEV_DONE", ""])
    def test_other_words_are_422(self, board: BoardUnderTest, status: str) -> None:
        task = board.add_task()["id"]
        reply = board.call("PUT", f"/tasks/{task}/status", {"status": status}, agent_id="pm1")
        assert (reply.status, reply.detail[0]["type"]) == (422, "enum")

    def test_the_reply_offers_the_next_task(self, board: BoardUnderTest) -> None:
        feature = board.feature()
        first, second = (board.add_task("created", feature_id=feature)["id"] for _ in range(2))
        board.register("dev1")
        board.lock(first, "dev1")
        reply = board.put(first, "dev1", "under_work")
        assert (reply["next_task"]["id"], reply["workflow_status"], reply["auto_continue"]) == (
            second,
            "continue",
            True,
        )
        assert reply["session_momentum"] == "high"
        board.lock(second, "dev1")
        reply = board.put(first, "dev1", "dev_done")
        assert (reply["next_task"], reply["workflow_status"], reply["auto_continue"]) == (
            None,
            "no_tasks",
            False,
        )
        assert reply["session_momentum"] == "low"

    def test_empty_or_absent_notes_change_nothing(self, board: BoardUnderTest) -> None:
        task = board.add_task()["id"]
        board.put(task, "pm1", "created", "kept")
        board.put(task, "pm1", "created", "")
        assert board.put(task, "pm1", "created")["task"]["notes"] == "kept"

    def test_a_tasks_life_is_in_the_changelog(self, board: BoardUnderTest) -> None:
        task = board.add_task()["id"]
        for status in ("under_work", "dev_done", "under_work", "qa_done"):
            board.put(task, "pm1", status)
        assert board.statuses(task) == [
            "pending",
            "created",
            "under_work",
            "dev_done",
            "under_work",
            "qa_done",
        ]
        assert len(board.ok("GET", "/changelog", limit=2)) == 2
        assert len(board.ok("GET", "/changelog", limit=-1)) == 6
        assert board.ok("GET", "/changelog", limit=0) == []


class TestStaleLocks:
    @pytest.fixture
    def held(self, board: BoardUnderTest) -> int:
        """A task locked by dev1, who was last seen now."""
        task = int(board.add_task()["id"])
        board.register("dev1")
        board.register("dev2", "frontend_dev")
        assert board.lock(task, "dev1").status == 200
        return task

    def test_29_minutes_of_silence_keep_a_lock(self, board: BoardUnderTest, held: int) -> None:
        board.shift_clock(29 * 60)
        assert next_for(board, "backend_dev") is None
        assert board.task(held)["locked_by"] == "dev1"

    @pytest.mark.parametrize("call", ["next", "register", "status"])
    def test_31_minutes_clear_it_at_anybodys_next_register_or_status(
        self, board: BoardUnderTest, held: int, call: str
    ) -> None:
        other = board.add_task("pending", title="other")["id"]
        board.shift_clock(31 * 60)
        assert board.task(held)["locked_by"] == "dev1", "looking at the list clears nothing"
        if call == "next":
            next_for(board, "architect")
        elif call == "register":
            board.register("dev2")
        else:
            board.put(other, "dev2", "evaluation")
        assert board.task(held)["locked_by"] is None
        assert board.task(held)["status"] == "created"

    def test_a_stale_lock_cleared_is_offered_again(self, board: BoardUnderTest, held: int) -> None:
        board.shift_clock(31 * 60)
        assert next_for(board, "backend_dev")["id"] == held

    def test_under_work_it_is_unlocked_and_offered_to_nobody(self, board: BoardUnderTest, held: int) -> None:
        board.put(held, "dev1", "under_work")
        board.shift_clock(31 * 60)
        assert all(next_for(board, role) is None for role in ROLES)
        task = board.task(held)
        assert (task["status"], task["locked_by"]) == ("under_work", None)

    def test_registering_keeps_it(self, board: BoardUnderTest, held: int) -> None:
        board.shift_clock(20 * 60)
        board.register("dev1")
        board.shift_clock(40 * 60)
        assert next_for(board, "backend_dev") is None
        assert board.task(held)["locked_by"] == "dev1"

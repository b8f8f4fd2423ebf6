"""What a client meets in both modes: the API as docs/headless-pm.md describes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.board_process import path_of

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest

ROLES = ("frontend_dev", "backend_dev", "qa", "architect", "pm")
NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")


class TestConventions:
    @pytest.mark.parametrize("key", [None, "", "wrong", "schlüssel"])
    def test_a_missing_or_wrong_key_is_401_before_anything_else(
        self, board: BoardUnderTest, key: str | None
    ) -> None:
        for reply in (
            board.call("GET", "/tasks", key=key),
            board.call("POST", "/register", key=key, data=b"{not json"),
            board.call("PUT", "/tasks/abc/status", {"status": "nonsense"}, key=key),
            board.call("GET", "/tasks/next", key=key, role="nonsense"),
        ):
            assert (reply.status, reply.json) == (401, {"detail": "Invalid API key"})

    @pytest.mark.parametrize(
        "path", ["//", "//health", "//status", "/context", "/docs", "/redoc", "/openapi.json"]
    )
    def test_the_open_paths_need_no_key(self, board: BoardUnderTest, path: str) -> None:
        assert board.call("GET", path, key=None).status == 200

    def test_one_task_cannot_be_fetched(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        assert board.call("GET", f"/tasks/{task['id']}").status == 405

    def test_paths_are_exact(self, board: BoardUnderTest) -> None:
        assert board.call("GET", "/tasks/").status == 307
        assert board.call("HEAD", "/tasks").status == 405
        assert board.call("GET", "/nothing").status == 404

    def test_an_id_that_is_no_number_is_422_with_a_list(self, board: BoardUnderTest) -> None:
        reply = board.call("POST", "/tasks/abc/lock", agent_id="dev1")
        assert reply.status == 422
        assert [(it["type"], it["loc"]) for it in reply.detail] == [("int_parsing", ["path", "task_id"])]

    def test_a_body_that_is_no_json_is_422(self, board: BoardUnderTest) -> None:
        reply = board.call("POST", "/register", data=b"{not json")
        assert (reply.status, reply.detail[0]["type"]) == (422, "json_invalid")

    def test_unknown_fields_and_parameters_are_ignored(self, board: BoardUnderTest) -> None:
        body = {
            "title": "t",
            "description": "d",
            "target_role": "qa",
            "difficulty": "junior",
            "branch": "main",
        }
        ignored = {"feature_id": board.feature(), "skill_level": "principal", "status": "created"}
        task = board.ok("POST", "/tasks/create", body | ignored, agent_id="pm1")
        assert (task["difficulty"], task["status"]) == ("junior", "pending")
        assert len(board.ok("GET", "/tasks", limit=0)) == 1

    def test_times_are_naive_utc(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        agent = board.register("dev1")["agent"]
        locked = board.lock(task["id"], "dev1").json
        health = board.call("GET", "//health").json
        times = (
            task["created_at"],
            task["updated_at"],
            agent["last_seen"],
            locked["locked_at"],
            health["timestamp"],
        )
        assert all(NAIVE.fullmatch(time) for time in times), times

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x" * 1_000_000,
            "a\nb\x1b[31mred\x00nul",
            "../../etc; x",
            "naïve 漢字 🎉",
            "'; DROP TABLE tasks",
        ],
    )
    def test_text_is_kept_as_it_came(self, board: BoardUnderTest, text: str) -> None:
        task = board.add_task("pending", title=text, description=text, branch=text)
        assert [task["title"], task["description"], task["branch"]] == [text] * 3
        assert board.task(task["id"]) == task


class TestAgents:
    def test_registering_answers_the_agent_a_look_and_mentions(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        board.ok("POST", f"/tasks/{task['id']}/comment", {"comment": "@dev_1 look"}, agent_id="pm1")
        reply = board.register("dev_1", "backend_dev", "senior")
        assert reply["agent"] | {"id": 0, "last_seen": ""} == {
            "id": 0,
            "agent_id": "dev_1",
            "role": "backend_dev",
            "level": "senior",
            "connection_type": "client",
            "last_seen": "",
        }
        assert reply["next_task"]["id"] == task["id"]
        assert [mention["task_title"] for mention in reply["mentions"]] == [task["title"]]
        assert len(board.register("dev_1")["mentions"]) == 1, "a mention shown stays unread"

    @pytest.mark.parametrize(
        "change",
        [{"role": "fullstack_dev"}, {"level": "expert"}, {"level": None}, {"connection_type": "ssh"}],
    )
    def test_an_unknown_role_or_level_is_422(self, board: BoardUnderTest, change: dict[str, Any]) -> None:
        body = {"agent_id": "dev1", "role": "backend_dev", "level": "senior"} | change
        reply = board.call("POST", "/register", body)
        assert (reply.status, reply.detail[0]["type"], reply.detail[0]["loc"][0]) == (422, "enum", "body")

    def test_a_level_left_out_is_422(self, board: BoardUnderTest) -> None:
        reply = board.call("POST", "/register", {"agent_id": "dev1", "role": "qa"})
        assert (reply.status, reply.detail[0]["type"]) == (422, "missing")

    def test_registering_again_keeps_role_and_level(self, board: BoardUnderTest) -> None:
        first = board.register("dev1", "backend_dev", "senior")["agent"]
        body = {"agent_id": "dev1", "role": "qa", "level": "junior", "connection_type": "mcp"}
        again = board.ok("POST", "/register", body)["agent"]
        assert again["last_seen"] > first["last_seen"]
        assert again | {"last_seen": ""} == first | {"last_seen": "", "connection_type": "mcp"}

    def test_agents_are_listed_by_when_they_were_seen(self, board: BoardUnderTest) -> None:
        for agent in ("a", "b", "a"):
            board.register(agent)
        assert [agent["agent_id"] for agent in board.ok("GET", "/agents")] == ["a", "b"]

    def test_only_a_pm_deletes_agents_and_never_itself(self, board: BoardUnderTest) -> None:
        pm = board.pm()
        board.register("dev1")
        board.register("dev2")

        def delete(agent: str, requester: str) -> Any:
            reply = board.call("DELETE", path_of("agents", agent), requester_agent_id=requester)
            return reply.status, reply.json

        assert delete("dev1", "dev2")[0] == 403
        assert delete("dev1", "nobody")[0] == 404
        assert delete("nobody", pm) == (404, {"detail": "Agent not found"})
        assert delete(pm, pm)[0] == 400
        assert delete("dev1", pm) == (200, {"message": "Agent dev1 deleted successfully"})

    def test_deleting_an_agent_frees_its_tasks(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        board.register("dev1")
        assert board.lock(task["id"], "dev1").status == 200
        board.ok("DELETE", "/agents/dev1", requester_agent_id=board.pm())
        freed = board.task(task["id"])
        assert (freed["locked_by"], freed["locked_at"]) == (None, None)

    def test_an_agent_with_a_slash_can_be_registered_and_not_deleted(self, board: BoardUnderTest) -> None:
        board.register("a/b")
        reply = board.call("DELETE", path_of("agents", "a/b"), requester_agent_id=board.pm())
        assert reply.status == 404


class TestPlanning:
    def test_epics_and_features_are_for_pm_and_architect(self, board: BoardUnderTest) -> None:
        body = {"name": "E", "description": "e"}
        for role in ROLES:
            board.register(role, role)
            expected = 200 if role in ("pm", "architect") else 403
            assert board.call("POST", "/epics", body, agent_id=role).status == expected
            reply = board.call("POST", "/features", body | {"epic_id": 1}, agent_id=role)
            assert reply.status == (200 if expected == 200 and board.ok("GET", "/epics") else 403)
        assert board.call("POST", "/epics", body, agent_id="nobody").status == 404
        assert board.call("POST", "/features", body | {"epic_id": 99}, agent_id="pm").status == 404

    def test_an_epic_counts_its_tasks(self, board: BoardUnderTest) -> None:
        feature = board.feature()
        for status in ("pending", "under_work", "dev_done", "committed"):
            board.add_task(status, feature_id=feature)
        (epic,) = board.ok("GET", "/epics")
        counts = [epic[f"{kind}task_count"] for kind in ("", "in_progress_", "completed_")]
        assert counts == [4, 2, 1]

    def test_deleting_an_epic_takes_everything_below_it(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        board.ok("POST", f"/tasks/{task['id']}/comment", {"comment": "@pm1"}, agent_id="pm1")
        board.register("dev1")
        assert board.call("DELETE", f"/epics/{task['epic_id']}", agent_id="dev1").status == 403
        assert board.ok("GET", f"/features/{task['epic_id']}")[0]["id"] == task["feature_id"]
        board.ok("DELETE", f"/epics/{task['epic_id']}", agent_id="pm1")
        for path in ("/epics", f"/features/{task['epic_id']}", "/tasks", "/changelog", "/mentions"):
            assert board.ok("GET", path) == [], path
        assert board.call("DELETE", f"/features/{task['feature_id']}", agent_id="pm1").status == 404


class TestTasks:
    def test_a_new_task_is_pending_and_offered_to_nobody(self, board: BoardUnderTest) -> None:
        task = board.add_task("pending", target_role="qa", complexity="major")
        assert task["status"] == "pending"
        assert (task["task_type"], task["poll_interval"], task["locked_by"]) == ("regular", None, None)
        for role in ROLES:
            assert board.ok("GET", "/tasks/next", role=role, level="principal", timeout=0) is None

    def test_complexity_defaults_to_major_and_the_rest_is_required(self, board: BoardUnderTest) -> None:
        body = {
            "feature_id": board.feature(),
            "title": "t",
            "description": "d",
            "target_role": "qa",
            "difficulty": "junior",
            "branch": "main",
        }
        assert board.ok("POST", "/tasks/create", body, agent_id="pm1")["complexity"] == "major"
        for name in body:
            reply = board.call(
                "POST", "/tasks/create", {k: v for k, v in body.items() if k != name}, agent_id="pm1"
            )
            assert (reply.status, reply.detail[0]["loc"]) == (422, ["body", name])

    def test_its_creator_and_feature_must_exist(self, board: BoardUnderTest) -> None:
        body = {
            "feature_id": board.feature(),
            "title": "t",
            "description": "d",
            "target_role": "qa",
            "difficulty": "junior",
            "branch": "main",
        }
        assert board.call("POST", "/tasks/create", body, agent_id="nobody").status == 404
        reply = board.call("POST", "/tasks/create", body | {"feature_id": 99}, agent_id="pm1")
        assert (reply.status, reply.detail) == (404, "Feature not found")

    def test_tasks_are_listed_newest_first_and_filtered(self, board: BoardUnderTest) -> None:
        feature = board.feature()
        first = board.add_task("created", feature_id=feature)
        second = board.add_task("pending", feature_id=feature, target_role="qa")
        assert [task["id"] for task in board.ok("GET", "/tasks")] == [second["id"], first["id"]]
        assert [task["id"] for task in board.ok("GET", "/tasks", status="created")] == [first["id"]]
        assert [task["id"] for task in board.ok("GET", "/tasks", role="qa")] == [second["id"]]
        assert board.ok("GET", "/tasks", role="qa", status="created") == []
        assert board.call("GET", "/tasks", status="blocked").status == 422

    def test_only_a_pm_deletes_tasks(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        board.register("dev1")
        assert board.call("DELETE", f"/tasks/{task['id']}", agent_id="dev1").status == 403
        message = board.ok("DELETE", f"/tasks/{task['id']}", agent_id="pm1")
        assert message == {"message": f"Task {task['id']} deleted successfully"}
        assert board.call("DELETE", f"/tasks/{task['id']}", agent_id="pm1").status == 404
        assert board.task(task["id"]) is None

    def test_comments_are_appended_and_may_come_from_anybody(self, board: BoardUnderTest) -> None:
        task = board.add_task()
        for agent, comment in (("dev1", "one"), ("nobody", "two")):
            reply = board.ok("POST", f"/tasks/{task['id']}/comment", {"comment": comment}, agent_id=agent)
            assert reply == {"message": "Comment added successfully"}
        assert board.task(task["id"])["notes"] == "dev1: one\n\nnobody: two"
        assert board.call("POST", "/tasks/99/comment", {"comment": "x"}, agent_id="dev1").status == 404


class TestTheRest:
    def test_mentions_are_found_as_words_after_an_at(self, board: BoardUnderTest) -> None:
        board.register("dev_1")
        task = board.add_task()["id"]
        comment = {"comment": "@dev_1 ask a@b.com or @qa-1, @dev_1"}
        board.ok("POST", f"/tasks/{task}/comment", comment, agent_id="pm1")
        assert sorted(it["mentioned_agent_id"] for it in board.ok("GET", "/mentions")) == ["b", "dev_1", "qa"]
        (mention,) = board.ok("GET", "/mentions", agent_id="dev_1", unread_only="true")
        assert (mention["task_id"], mention["task_title"], mention["created_by"]) == (
            task,
            "Add a greeting",
            "pm1",
        )
        assert [it["id"] for it in board.ok("GET", "/mentions/by-role", role="backend_dev")] == [
            mention["id"]
        ]
        assert board.ok("GET", "/mentions/by-role", role="qa") == []
        read = path_of("mentions", mention["id"], "read")
        assert board.call("PUT", read, agent_id="b").status == 403
        assert board.ok("PUT", read, agent_id="dev_1")["is_read"] is True
        assert board.ok("GET", "/mentions", agent_id="dev_1", unread_only="true") == []
        assert board.call("PUT", "/mentions/99/read", agent_id="b").status == 404

    def test_documents(self, board: BoardUnderTest) -> None:
        body = {"doc_type": "update", "title": "T", "content": "for @dev1", "meta_data": {"a": [1, None]}}
        made = board.ok(
            "POST", "/documents", body | {"expires_at": "2030-01-01T02:00:00+02:00"}, author_id="x"
        )
        assert made["mentions"] == ["dev1"]
        assert made["expires_at"] == "2030-01-01T00:00:00"
        path = path_of("documents", made["id"])
        assert board.ok("GET", path) == made
        assert board.ok("GET", "/documents", doc_type="update", author_id="x") == [made]
        assert board.ok("GET", "/documents", doc_type="standup") == []
        changed = board.ok("PUT", path, {"content": "for @dev2"})
        assert (changed["title"], changed["mentions"], changed["meta_data"]) == (
            "T",
            ["dev2"],
            {"a": [1, None]},
        )
        assert board.ok("DELETE", path) == {"message": "Document deleted successfully"}
        assert board.call("GET", path).status == 404
        assert board.ok("GET", "/mentions") == []

    def test_documents_have_limits(self, board: BoardUnderTest) -> None:
        body = {"doc_type": "update", "title": "T", "content": "x" * 50_000}
        assert board.call("POST", "/documents", body, author_id="x").status == 200
        assert board.call("POST", "/documents", body | {"content": "x" * 50_001}, author_id="x").status == 400
        assert board.call("POST", "/documents", body | {"title": "x" * 201}, author_id="x").status == 422

    def test_services(self, board: BoardUnderTest) -> None:
        body = {"service_name": "api", "ping_url": "http://localhost:1/", "port": 2**80, "status": "starting"}
        made = board.ok("POST", "/services/register", body, agent_id="dev1")
        assert (made["owner_agent_id"], made["port"], made["status"]) == ("dev1", 2**80, "starting")
        assert board.call("POST", "/services/api/heartbeat", agent_id="dev2").status == 403
        assert board.ok("POST", "/services/api/heartbeat", agent_id="dev1")["status"] == "up"
        again = board.ok("POST", "/services/register", body | {"port": None}, agent_id="dev2")
        assert (again["id"], again["owner_agent_id"], again["port"]) == (made["id"], "dev2", None)
        assert [it["service_name"] for it in board.ok("GET", "/services")] == ["api"]
        assert board.call("DELETE", "/services/api", agent_id="dev1").status == 403
        assert board.ok("DELETE", "/services/api", agent_id="dev2")["message"].startswith("Service api")
        assert board.call("POST", "/services/api/heartbeat", agent_id="dev2").status == 404

    def test_changes_since_a_naive_moment(self, board: BoardUnderTest) -> None:
        before = board.call("GET", "//health").json["timestamp"]
        task = board.add_task()
        document = {"doc_type": "standup", "title": "T", "content": "c"}
        made = board.ok("POST", "/documents", document, author_id="x")
        board.ok("PUT", path_of("documents", made["id"]), {"title": "T2"})
        reply = board.ok("GET", "/changes", since=before, agent_id="dev1")
        kinds = [change["type"] for change in reply["changes"]]
        assert kinds == ["task_updated", "task_updated", "document_created", "document_updated"]
        assert reply["changes"][1]["data"] == {
            "task_id": task["id"],
            "title": task["title"],
            "old_status": "pending",
            "new_status": "created",
            "changed_by": "pm1",
            "notes": None,
        }
        assert reply["last_timestamp"] == reply["changes"][-1]["timestamp"]
        later = board.ok("GET", "/changes", since=reply["last_timestamp"], agent_id="dev1")
        assert later == {"changes": [], "last_timestamp": reply["last_timestamp"]}
        assert board.call("GET", "/changes", since=before).status == 422

    def test_context_and_status(self, board: BoardUnderTest) -> None:
        context = board.call("GET", "/context", key=None).json
        assert context["database_type"] == "sqlite"
        board.add_task()
        metrics = board.call("GET", "//status", key=None).json["metrics"]
        assert (metrics["total_agents"], metrics["active_agents"], metrics["total_tasks"]) == (1, 1, 1)

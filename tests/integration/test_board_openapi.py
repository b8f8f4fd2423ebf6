"""Our API against the real server's own description of its: everything there is here, of the same type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest

REFERENCE = Path(__file__).parents[1] / "data" / "headless-pm-openapi.json"

STATUS = "/paths/~/api/v1/tasks/{task_id}/status/put/parameters/query:expect_lock"
TASKS = "/paths/~/api/v1/tasks/get/parameters/query:task_id"
OUR_ADDITIONS = {STATUS, TASKS}
OUR_HEALTH = {"exact_lock": True, "cheap_wait": True}
"""/health is described as any JSON, so its additions do not show in the description."""

FRAMEWORK_ADDITIONS = {
    "/components/schemas/ValidationError/properties/input",
    "/components/schemas/ValidationError/properties/ctx",
}
"""What newer FastAPI describes by itself; the real server's 422s carry both, too."""


def test_everything_of_the_reference_is_here_with_the_same_type(exact_board: BoardUnderTest) -> None:
    missing, added = compare(reference(), described_by(exact_board))
    assert missing == []
    assert added - FRAMEWORK_ADDITIONS == OUR_ADDITIONS


def test_upstream_mode_describes_itself_as_the_real_server_does(upstream_board: BoardUnderTest) -> None:
    missing, added = compare(reference(), described_by(upstream_board))
    assert missing == []
    assert added - FRAMEWORK_ADDITIONS == set()


def test_health_says_what_clients_may_rely_on(
    exact_board: BoardUnderTest, upstream_board: BoardUnderTest
) -> None:
    exact = exact_board.call("GET", "//health", key=None).json
    upstream = upstream_board.call("GET", "//health", key=None).json
    assert {name: exact[name] for name in exact.keys() - upstream.keys()} == OUR_HEALTH
    assert list(upstream) == ["status", "service", "version", "database", "dashboard", "timestamp"]
    for health in (exact, upstream):
        assert (health["status"], health["database"], health["dashboard"]) == (
            "healthy",
            "healthy",
            "stopped",
        )
        assert (health["service"], health["version"]) == ("headless-pm-api", "1.0.0")


def reference() -> Any:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def described_by(board: BoardUnderTest) -> Any:
    return board.call("GET", "/openapi.json", key=None).json


def compare(theirs: Any, ours: Any, place: str = "") -> tuple[list[str], set[str]]:
    """What of ``theirs`` is absent or different in ``ours``, and where ``ours`` has more."""
    if isinstance(theirs, list) and isinstance(ours, list):
        theirs, ours = keyed(theirs), keyed(ours)
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return ([] if theirs == ours else [f"{place}: {theirs!r} is {ours!r}"]), set()
    missing, added = [], {f"{place}/{name}" for name in ours.keys() - theirs.keys()}
    for name, part in theirs.items():
        if name not in ours:
            missing.append(f"{place}/{name}")
            continue
        label = "~" + name if name.startswith("/") else name
        more_missing, more_added = compare(part, ours[name], f"{place}/{label}")
        missing += more_missing
        added |= more_added
    return missing, added


def keyed(items: list[Any]) -> dict[str, Any]:
    """A list whose order means nothing: parameters by name, anything else by itself."""
    return {
        f"{item['in']}:{item['name']}" if isinstance(item, dict) and "in" in item else json.dumps(item): item
        for item in items
    }

"""schemathesis over the whole API, by the *reference's* description: no 5xx, and every answer as described.

Bounded and derandomized: the same requests on every run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest

REFERENCE = Path(__file__).parents[1] / "data" / "headless-pm-openapi.json"
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]

NAIVE = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$"


def described() -> dict[str, Any]:
    """The reference, with the times of answers as they really are: it claims RFC 3339, they have no zone."""
    reference: dict[str, Any] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    for name, model in reference["components"]["schemas"].items():
        if not name.endswith("Request"):
            for field in model.get("properties", {}).values():
                for kind in (field, *field.get("anyOf", ())):
                    if kind.pop("format", None) == "date-time":
                        kind["pattern"] = NAIVE
    return reference


schema = schemathesis.openapi.from_dict(described())
common = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
every_shape = settings(common, max_examples=6, phases=[Phase.explicit, Phase.generate])
more_values = settings(common, max_examples=8, phases=[Phase.generate])


@schema.parametrize()
@every_shape
def test_whatever_is_sent_is_answered_as_described(
    case: schemathesis.Case[Any], exact_board: BoardUnderTest
) -> None:
    send(case, exact_board)


@schema.parametrize()
@more_values
def test_with_agents_and_rows_that_exist(case: schemathesis.Case[Any], exact_board: BoardUnderTest) -> None:
    exact_board.register("dev1")
    if exact_board.task(1) is None:
        exact_board.add_task()
    for name in ("agent_id", "requester_agent_id", "author_id"):
        if name in case.query:
            case.query[name] = "pm1"
    for name in case.path_parameters:
        if name.endswith("_id"):
            case.path_parameters[name] = "dev1" if name == "agent_id" else 1
    send(case, exact_board)


def send(case: schemathesis.Case[Any], board: BoardUnderTest) -> None:
    if case.path.endswith("/tasks/next"):
        case.query["timeout"] = 0
    case.call_and_validate(board.url, headers={"X-API-Key": board.key}, checks=CHECKS)

from __future__ import annotations

import pytest

from hpm_tools.errors import Misconfigured, UsageError
from hpm_tools.executor.model import ModelMapper


@pytest.mark.parametrize(
    ("difficulty", "model"), [("junior", "sonnet"), ("senior", "sonnet"), ("principal", "opus")]
)
def test_seniority_maps_directly_to_an_alias(difficulty: str, model: str) -> None:
    assert ModelMapper().model_for(difficulty) == model


@pytest.mark.parametrize("field", ["difficulty", "skill_level"])
def test_both_field_names_of_a_task_are_read(field: str) -> None:
    assert ModelMapper().model_for_task({field: "principal"}) == "opus"


def test_difficulty_wins_over_skill_level() -> None:
    assert ModelMapper().model_for_task({"difficulty": "junior", "skill_level": "principal"}) == "sonnet"


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_task_without_difficulty_counts_as_senior(nothing: str | None) -> None:
    mapper = ModelMapper({"senior": "haiku"})
    assert mapper.model_for(nothing) == "haiku"
    assert mapper.model_for_task({"difficulty": nothing}) == "haiku"


def test_one_entry_can_be_replaced() -> None:
    mapper = ModelMapper({"junior": "haiku"})
    assert [mapper.model_for(level) for level in ("junior", "senior", "principal")] == [
        "haiku",
        "sonnet",
        "opus",
    ]


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-5-5",
        "sonnet[1m]",
        "us.anthropic.claude-opus-v1:0",
        "arn:aws:bedrock:eu-west-1:1:profile/x",
    ],
)
def test_full_ids_are_accepted(model: str) -> None:
    assert ModelMapper({"senior": model}).model_for("senior") == model


@pytest.mark.parametrize("model", ["", "-p", "--model", "a b", "x\n", "sonnet;rm", "m" * 300, 7, None])
def test_a_value_that_is_no_model_name_is_refused(model: object) -> None:
    with pytest.raises(Misconfigured):
        ModelMapper({"senior": model})  # type: ignore[dict-item]


def test_an_unknown_difficulty_lists_the_valid_ones() -> None:
    with pytest.raises(UsageError) as caught:
        ModelMapper().model_for("wizard")
    assert "junior, senior, principal" in caught.value.hint
    with pytest.raises(Misconfigured):
        ModelMapper({"wizard": "opus"})

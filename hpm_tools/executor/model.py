"""Which model works on a task: a direct mapping from the board's difficulty, without escalation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpm_tools.errors import Misconfigured, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODELS = {"junior": "sonnet", "senior": "sonnet", "principal": "opus"}
"""The CLI's own aliases: dated ids are retired under the feet of whoever writes them down."""

UNSPECIFIED = "senior"
"""What a task without a difficulty counts as."""

# An alias, a full id, a Bedrock ARN or a Vertex id; never something the CLI could take for an option.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,199}")


class ModelMapper:
    """Maps ``junior``, ``senior`` and ``principal`` to what goes to ``--model``.

    ``mapping`` replaces single entries of DEFAULT_MODELS. Raises Misconfigured for an unknown difficulty or a
    value that is no model name.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self.models = dict(DEFAULT_MODELS)
        for level, model in (mapping or {}).items():
            if level not in DEFAULT_MODELS:
                raise Misconfigured(
                    f"a model is configured for the unknown difficulty {level!r}",
                    f"the difficulties are {', '.join(DEFAULT_MODELS)}",
                )
            if not isinstance(model, str) or not _MODEL.fullmatch(model):
                raise Misconfigured(
                    f"the model for {level} tasks, {model!r}, is not a model name",
                    "an alias (sonnet, opus, haiku) or a full model id",
                )
            self.models[level] = model

    def model_for(self, difficulty: str | None) -> str:
        """The model for a difficulty (none counts as senior); UsageError if it is unknown."""
        level = (difficulty or UNSPECIFIED).strip().lower()
        if level not in self.models:
            raise UsageError(f"unknown difficulty {difficulty!r}", f"one of {', '.join(self.models)}")
        return self.models[level]

    get_model = model_for
    """The same, under the name that the earlier runner had for it."""

    def model_for_task(self, task: Mapping[str, object]) -> str:
        """The model for a task by its ``difficulty``, or by ``skill_level`` as the guide calls the field.

        Raises UsageError if that is unknown.
        """
        level = task.get("difficulty") or task.get("skill_level")
        return self.model_for(str(level) if level else None)

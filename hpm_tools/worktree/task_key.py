"""What names a task for good, as it is written beside worktrees and branches."""

from __future__ import annotations

import json


class TaskKey:
    """The board, the task's id there, and when it was created: the board reuses ids after a delete."""

    # A plain class, as typing and dataclasses would cost `worktree.list` a third of its time.
    __slots__ = ("board", "created_at", "id")

    def __init__(self, board: str, id: int, created_at: str) -> None:
        self.board = board
        self.id = id
        self.created_at = created_at

    def __repr__(self) -> str:
        return f"TaskKey({self.board!r}, {self.id}, {self.created_at!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskKey) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.board, self.id, self.created_at))

    def same_as(self, other: TaskKey) -> bool:
        """Whether both name one task; a worktree made by hand may not know the board or the date."""
        return self.id == other.id and all(
            mine == its or not mine or not its
            for mine, its in ((self.board, other.board), (self.created_at, other.created_at))
        )

    def as_dict(self) -> dict[str, str | int]:
        return {"board": self.board, "id": self.id, "created_at": self.created_at}

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, data: object) -> TaskKey | None:
        """The key that decoded JSON holds, or None if it holds none."""
        if not isinstance(data, dict):
            return None
        try:
            return cls(str(data["board"]), int(data["id"]), str(data["created_at"]))
        except (ValueError, TypeError, KeyError, OverflowError):
            return None

    @classmethod
    def from_json(cls, text: str) -> TaskKey | None:
        """The key in ``text``, or None if it holds none."""
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, RecursionError):
            return None

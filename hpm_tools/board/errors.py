"""What can go wrong between us and the board, beyond the errors every part shares."""

from __future__ import annotations

from hpm_tools.errors import TRY_LATER, BadData, BoardUnreachable, Held, TryLater


class BoardBusy(BoardUnreachable):
    """The board answers 429, still after bounded retries."""

    exit_code = TRY_LATER
    kind = "board_busy"


class LostAnswer(BoardUnreachable):
    """A request reached, or may have reached, the board, and its answer did not reach us.

    Whether it was carried out is unknown: look before repeating it.
    """

    usual_hint = "look at the board before repeating it: hpm pm.tasks"


class BadAnswer(BadData):
    """An answer that is no answer of a board: HTML, invalid JSON, wrong types, a redirect, too many bytes.

    Of a write it says as little about whether it was carried out as no answer at all.
    """

    usual_hint = "see whether HEADLESS_PM_API_URL is the address of a board"


class TooLarge(BadAnswer):
    """An answer of more bytes than are taken in. Asked again it will not be shorter: ask for less."""


class Refusal(Held):
    """The board's 409: it says that the task is held, which may be by the asking agent itself."""

    usual_hint = "try again later"


class LockLost(Held):
    """The board's lock on the task is not, or no longer, this agent's."""

    kind = "lock_lost"
    usual_hint = "its work stays where it is; hpm unlock --agent-id A clears the agent's record"


class InUse(TryLater):
    """Somebody elsewhere works under the same agent id (twins.py)."""

    usual_hint = "end the other one, or give each host agents of its own"


class TaskMoved(Held):
    """The task is not what it was when it was offered: another status, or another task under a reused id."""

    kind = "task_moved"
    usual_hint = "hpm pm.task --task-id N shows what it is now; hpm pm.next --role R what is offered"

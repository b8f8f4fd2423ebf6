"""The operator's own command that hears of a question: ``prompt.notify``, the question as JSON on stdin."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, Self

from hpm_tools.errors import HpmError
from hpm_tools.process.env import helper_environment
from hpm_tools.process.supervise import Clocks, Ending, supervise
from hpm_tools.state.paths import HOME_VARIABLE
from hpm_tools.text import duration, one_line

if TYPE_CHECKING:
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.prompts import Prompt

KEPT = 64 << 10
GRACE = 2.0


class Notice:
    """Runs the command beside the block that waits for the answer, and ends it with the block.

    It gets neither the board's key nor a Claude login. Its failure is a warning: the question stands.
    """

    def __init__(self, tools: Toolbox, prompt: Prompt) -> None:
        self._tools = tools
        self._prompt = prompt
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prompt-notify")

    def __enter__(self) -> Self:
        if self._tools.config.prompt.notify:
            self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        settings = self._tools.config.prompt
        try:
            # no failpoint: in a thread of its own, which reaches no failpoints
            done = supervise(
                settings.notify,
                cwd=self._tools.state.home,
                env=helper_environment(os.environ) | {HOME_VARIABLE: self._tools.state.home},
                stdin=json.dumps(message(self._prompt)).encode(),
                clocks=Clocks(total=settings.notify_timeout, grace=GRACE),
                keep=KEPT,
                should_stop=lambda: "the question was answered" if self._over.is_set() else None,
                # Whoever takes over from a killed runner finds and ends it by this.
                cookie=self._prompt.run_id,
            )
        except HpmError as error:
            self._warn(error.message)
            return
        if done.ending is Ending.STOPPED or (done.ending is Ending.EXITED and done.returncode == 0):
            return
        how = (
            f"exited {done.returncode}"
            if done.ending is Ending.EXITED
            else f"did not end within {duration(settings.notify_timeout)}"
        )
        # Cleaned before it is cut: of a secret that is cut in two the rest would be shown.
        spoke = done.stderr if done.stderr.total else done.stdout
        said = one_line(spoke.cleaned(self._tools.clean)[-300:], 200)
        self._warn(f"it {how}" + (f": {said}" if said else ""))

    def _warn(self, why: str) -> None:
        self._tools.ui.warn(f"prompt.notify told nobody of the question: {why}")


def message(prompt: Prompt) -> dict[str, Any]:
    """What the command is told: the question and how to answer it."""
    fields = prompt.to_json()
    del fields["choice"], fields["answered_by"], fields["asker"]
    return {
        **fields,
        "answer_with": f"hpm answer --agent-id {prompt.agent_id} --prompt {prompt.id} --choice CHOICE",
    }

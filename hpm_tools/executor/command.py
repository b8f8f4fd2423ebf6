"""Any program as the agent: for other agents than Claude Code, for scripts, and for the demo.

The contract: the prompt on stdin, the worktree as current directory, and in the environment

    HPM_TASK_FILE     a file with the board's task as JSON (absent in runs without a task)
    HPM_OUTCOME_FILE  where the program may write its outcome: JSON in the shape of base.OUTCOME_SCHEMA,
                      optionally with ``cost_usd``, what the run cost in US dollars
    HPM_AGENT_ID HPM_ROLE HPM_DIFFICULTY HPM_MODEL HPM_BUDGET_USD
    HPM_SESSION_ID    the same in every run of a task that is resumed; HPM_RESUME is 1 then, otherwise 0

Without the file, the last JSON object of that shape in its output counts (printed.py). Without either the exit code
speaks: 126 and 127 could not be run, other codes up to 128 failed, an end by signal is a crash. 0 is done only where
the operator says so (``executor_exit_code_is_outcome``), for many agents' programs end with 0 when they failed.
TMPDIR is the run's own and is removed afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpm_tools.config.files import read_file
from hpm_tools.errors import BadData, Misconfigured
from hpm_tools.executor.base import AgentRun, CheckLine, Outcome, ProgramAway, Progress
from hpm_tools.executor.printed import last_outcome
from hpm_tools.executor.scratch import remove_scratch, scratch_directory
from hpm_tools.executor.words import cleaner, fit_to_keep
from hpm_tools.process.env import base_environment
from hpm_tools.process.supervise import Ending, supervise
from hpm_tools.redaction import secret_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hpm_tools.config import Configuration
    from hpm_tools.executor.base import AgentJob, OnProgress, OnSpawn, ShouldStop
    from hpm_tools.process.supervise import Finished

KEPT_OF_STDERR = 4000
SUMMARY_LIMIT = 1000
LONGEST_SHOWN = 4000
ABSURD_COST = 1e6
CANNOT_RUN = (126, 127)
SIGNALLED = 128
"""From here a shell reports the end of its child by a signal."""
SETTING = "executor_exit_code_is_outcome"
UNSET = CheckLine(
    "agent outcome",
    None,
    f"{SETTING} is not set: if the program ends with 0 and gives no outcome, its task is given back and pick-up pauses",
    "set it to true if 0 means done, else to false; best of all, have the program write HPM_OUTCOME_FILE",
)


class CommandExecutor:
    """Runs the program ``argv`` for every job; a name is looked up on the PATH of ``environ``.

    The program's environment is the allowlisted part of ``environ``, with the further ``env_names``. What
    the variables hold as secrets, and ``secrets``, is kept out of logs and of what the program says.
    ``exit_code_is_outcome``: whether 0 without an outcome means done; None: nobody has decided that.
    """

    name = "command"

    def __init__(
        self,
        argv: Iterable[str],
        environ: Mapping[str, str] | None = None,
        env_names: Iterable[str] = (),
        secrets: Iterable[str] = (),
        exit_code_is_outcome: bool | None = None,
    ) -> None:
        self.argv = list(argv)
        self.exit_code_is_outcome = exit_code_is_outcome
        self.environ = dict(os.environ if environ is None else environ)
        self.env_names = tuple(env_names)
        self._secrets = {*secret_values(self.environ), *secrets}
        self._clean = cleaner(self._secrets)

    @classmethod
    def from_config(cls, config: Configuration, environ: Mapping[str, str] | None = None) -> CommandExecutor:
        """The operator's program; its log is without every secret that the configuration knows of."""
        secrets = config.secrets(os.environ if environ is None else environ)
        return cls(
            config.executor_command, environ, config.claude.env, secrets, config.executor_exit_code_is_outcome
        )

    def check(self) -> list[CheckLine]:
        """Whether the program is there, and whether it is settled what its exit code 0 means."""
        try:
            found = CheckLine("agent program", True, self._command()[0])
            return [found, *([UNSET] if self.exit_code_is_outcome is None else [])]
        except Misconfigured as error:
            return [CheckLine("agent program", False, error.message, error.hint)]

    def away(self) -> ProgramAway | None:
        """Why there is no program to be started now; None where there is one, or where none is named rightly."""
        try:
            self._command()
        except ProgramAway as error:
            return error
        except Misconfigured:
            return None
        return None

    def run(
        self,
        job: AgentJob,
        on_progress: OnProgress | None = None,
        on_spawn: OnSpawn | None = None,
        should_stop: ShouldStop | None = None,
    ) -> AgentRun:
        """Run the program on ``job``; every line it prints is progress, but it may well print nothing.

        Raises Misconfigured or CannotCreate before anything is started.
        """
        command = self._command()
        last_line = b""

        def on_line(line: bytes) -> None:
            nonlocal last_line
            last_line = line or last_line
            if on_progress is not None and line:
                on_progress(Progress(line[:LONGEST_SHOWN].decode(errors="replace")))

        # What a killed run of the same id left there must not pass for this one's outcome.
        remove_scratch(job.run_id, self.environ)
        with scratch_directory(job.run_id, self.environ) as scratch:
            outcome_file = scratch / "outcome.json"
            # no failpoint: between agent.starting and agent.ended
            finished = supervise(
                command,
                cwd=job.cwd,
                env=self._environment(job, scratch, outcome_file),
                stdin=job.prompt.encode("utf-8", "replace"),
                clocks=replace(job.clocks, first_event=None, stall=None),
                log=job.log_path,
                secrets=self._secrets,
                on_line=on_line,
                on_spawn=on_spawn,
                should_stop=should_stop,
                cookie=job.run_id,
                hands_over=True,
            )
            told = _told(job, finished, outcome_file) if finished.ending == Ending.EXITED else {}
        said = self._clean(last_line.decode(errors="replace").strip())
        stderr = self._clean(finished.stderr.text())[-KEPT_OF_STDERR:].strip()
        run = _summed_up(job, finished, told, said, stderr, done_at_0=self.exit_code_is_outcome)
        return fit_to_keep(run, self._clean)

    def _command(self) -> list[str]:
        if not self.argv or not self.argv[0]:
            raise Misconfigured(
                "the executor 'command' has no program to run", "set executor_command, a list"
            )
        name = self.argv[0]
        if os.sep in name and not os.path.isabs(name):
            # Relative to the worktree it would be a program that agents can write.
            raise Misconfigured(f"the agent program {name} is a relative path", "give its full path")
        found = shutil.which(name, path=self.environ.get("PATH", os.defpath))
        if found is None:
            raise ProgramAway(
                f"the agent program {name} is not there or not executable", "check executor_command"
            )
        return [found, *self.argv[1:]]

    def _environment(self, job: AgentJob, scratch: Path, outcome_file: Path) -> dict[str, str]:
        told: dict[str, object] = {
            "TMPDIR": scratch,
            "HPM_OUTCOME_FILE": outcome_file,
            "HPM_AGENT_ID": job.agent_id,
            "HPM_ROLE": job.role,
            "HPM_DIFFICULTY": job.difficulty,
            "HPM_MODEL": job.model or "",
            "HPM_BUDGET_USD": "" if job.budget_usd is None else f"{job.budget_usd:.4f}",
            "HPM_SESSION_ID": job.session_id,
            "HPM_RESUME": int(job.resume),
        }
        if job.task is not None:
            task_file = scratch / "task.json"
            # no failpoint: in the run's own temporary directory
            task_file.write_text(json.dumps(dict(job.task)), encoding="utf-8")
            told["HPM_TASK_FILE"] = task_file
        allowed = base_environment(self.environ, self.env_names)
        return {**allowed, **job.env, **{name: str(value) for name, value in told.items()}}


def _told(job: AgentJob, finished: Finished, path: Path) -> dict[str, Any]:
    """What the program wrote, or else what it printed."""
    told = _read_outcome(path)
    if told:
        return told
    for output in (finished.stdout, finished.stderr):
        end = output.tail if output.cut else output.head + output.tail
        said = last_outcome(end, (job.prompt, job.resume_prompt or ""))
        if said is not None:
            return {"outcome": Outcome.parse(said), "cost_usd": _cost(said)}
    return {}


def _read_outcome(path: Path) -> dict[str, Any]:
    """What the program wrote: ``{}`` if nothing, ``{"fault": why}`` if it is no JSON object in a small file."""
    try:
        content = read_file(str(path))
    except Misconfigured as error:
        return {"fault": error.message}
    if content is None:
        return {}
    try:
        data = json.loads(content)
        return {"outcome": Outcome.parse(data), "cost_usd": _cost(data)}
    except (ValueError, RecursionError) as error:
        return {"fault": f"it is not JSON: {error}"}
    except BadData as error:
        return {"fault": error.message}


def _cost(data: dict[str, Any]) -> float | None:
    cost = data.get("cost_usd")
    if isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost < ABSURD_COST:
        return float(cost)
    return None


def _summed_up(
    job: AgentJob,
    finished: Finished,
    told: Mapping[str, Any],
    last_line: str,
    stderr_tail: str,
    *,
    done_at_0: bool | None,
) -> AgentRun:
    outcome, errors = told.get("outcome"), []
    code = finished.returncode
    concluded = outcome is None
    ended = finished.ending == Ending.EXITED and code is not None
    if "fault" in told:
        errors = [f"the outcome file: {told['fault']}"]
        outcome = Outcome("failed", f"the agent's program wrote no valid outcome: {told['fault']}")
    elif outcome is None and ended and code is not None:
        outcome = _by_exit_code(code, last_line, stderr_tail, done_at_0=bool(done_at_0))
    silent = outcome is None and ended and code == 0
    spoke = outcome is not None or silent
    cost = told.get("cost_usd")
    return AgentRun(
        session_id=job.session_id,
        ending=finished.ending,
        returncode=code,
        outcome=outcome,
        concluded=concluded and outcome is not None,
        undecided=silent and done_at_0 is None,
        started=finished.stdout.total > 0 or spoke,
        began=finished.stdout.total > 0 or spoke,
        finished=spoke,
        subtype="success" if spoke else "",
        stop_reason=finished.stop_reason,
        errors=tuple(errors),
        result_text=last_line,
        cost_usd=cost,
        session_cost_usd=job.session_cost_usd + (cost or 0.0),
        model=job.model or "",
        seconds=finished.seconds,
        stderr_tail=stderr_tail,
        survivors=finished.survivors,
    )


def _by_exit_code(code: int, last_line: str, stderr_tail: str, *, done_at_0: bool) -> Outcome | None:
    if code == 0:
        return Outcome("done", last_line[:SUMMARY_LIMIT]) if done_at_0 else None
    if code < 0 or code > SIGNALLED or code in CANNOT_RUN:
        return None
    said = last_line or stderr_tail.rpartition("\n")[2]
    return Outcome(
        "failed", f"the agent's program failed with exit code {code}: {said}"[:SUMMARY_LIMIT].rstrip(": ")
    )

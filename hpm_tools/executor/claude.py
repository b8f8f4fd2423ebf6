"""The real Claude Code CLI as an executor: one supervised ``claude -p`` per invocation, read line by line."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpm_tools.config import state_dir
from hpm_tools.errors import Misconfigured
from hpm_tools.executor import permissions, sandbox
from hpm_tools.executor.base import OUTCOME_SCHEMA, AgentGit, AgentRun, CheckLine, ProgramAway
from hpm_tools.executor.cli_places import is_program, with_node
from hpm_tools.executor.cost import settle
from hpm_tools.executor.discovery import FoundCli, as_typed, find_cli, is_there, login
from hpm_tools.executor.environment import cli_environment
from hpm_tools.executor.model import ModelMapper
from hpm_tools.executor.scratch import scratch_directory
from hpm_tools.executor.stream import StreamReader
from hpm_tools.executor.words import cleaner, fit_to_keep
from hpm_tools.process.supervise import Ending, Finished, supervise
from hpm_tools.redaction import secret_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hpm_tools.config import Configuration
    from hpm_tools.executor.base import AgentJob, OnProgress, OnSpawn, ShouldStop

SESSION_IN_USE = "already in use"
SESSION_UNKNOWN = "No conversation found"
KEPT_OF_STDERR = 4000


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """What the operator configured (docs/design.md, What an agent gets).

    ``allow``: rules or plain commands besides editing. ``sandbox``: true, false, or auto (where it works).
    ``legacy_git``: not sandboxed, with the git commands that agents had before. ``secrets`` are files and
    directories that are kept unreadable, the state directory above all. ``env_names`` are further variables that
    reach the agent.
    """

    path: str | None = None
    allow: tuple[str, ...] = ()
    sandbox: bool | str = False
    legacy_git: bool = False
    domains: tuple[str, ...] = ()
    permission_mode: str = "acceptEdits"
    project_settings: bool = False
    env_names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class ClaudeExecutor:
    """Runs the Claude CLI; ``environ`` is the environment that the agent's is drawn from (default: ours).

    What its variables hold as secrets, and ``secrets``, is kept out of logs and of what an agent is told to
    have said. ``models`` maps a task's difficulty to a model, for ``execute_task``. Nothing is looked up or started
    before it is needed; ``cli`` says which program it will be.
    """

    name = "claude"

    def __init__(
        self,
        settings: ClaudeSettings | None = None,
        environ: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        models: ModelMapper | None = None,
    ) -> None:
        self.settings = settings or ClaudeSettings()
        self.models = models or ModelMapper()
        self.environ = dict(os.environ if environ is None else environ)
        self._cli: FoundCli | None = None
        self._unavailable: tuple[str | None] | None = None
        self._secrets = {*secret_values(self.environ), *secrets}
        self._clean = cleaner(self._secrets)

    @classmethod
    def from_config(cls, config: Configuration, environ: Mapping[str, str] | None = None) -> ClaudeExecutor:
        """The CLI as the operator configured it; agents cannot read the state directory, nor the file that has the key.

        Raises Misconfigured for models that are none.
        """
        environ = os.environ if environ is None else environ
        claude = config.claude
        key = config.sources.get("api_key", "")
        home = {"HEADLESS_PM_HOME": config.home} if config.home else {}
        return cls(
            ClaudeSettings(
                path=config.claude_path,
                allow=claude.allow,
                sandbox=claude.sandbox,
                legacy_git=bool(claude.allow) and "claude.sandbox" not in config.sources,
                domains=claude.domains,
                permission_mode=claude.permission_mode,
                project_settings=claude.project_settings,
                env_names=claude.env,
                secrets=(state_dir({**environ, **home}).home, *([key] if key.startswith("/") else [])),
            ),
            environ,
            config.secrets(environ),
            ModelMapper(config.models),
        )

    def environment(self, job_env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the CLI gets of our environment, and the job's own."""
        project = self.settings.project_settings
        ours = cli_environment(self.environ, self.settings.env_names, project_settings=project)
        return {**ours, **(job_env or {})}

    def cli(self) -> FoundCli:
        """The CLI and its version, looked up once; raises Misconfigured if there is none that serves."""
        if self._cli is None:
            self._cli = find_cli(self.settings.path, self.environ, self.environment())
        return self._cli

    def away(self) -> ProgramAway | None:
        """Why there is no CLI to be started now; None where there is one. Starts nothing."""
        if self._cli is not None and is_program(self._cli.path):
            return None
        known, self._cli = self._cli, None  # an update may bring another version, or another place
        if is_there(self.settings.path, self.environ):
            return None
        what = self.settings.path or (known.path if known is not None else "claude")
        return ProgramAway(
            f"the Claude CLI {what} is not there", "hpm claude.check says where it is looked for"
        )

    def ready(self) -> None:
        """Raise Misconfigured if an agent cannot be started with these settings on this machine."""
        self.cli()
        permissions.check_mode(self.settings.permission_mode, self.environ)
        permissions.allow_rules(self.settings.allow)
        if self.settings.sandbox is True and (reason := self._why_not()):
            raise Misconfigured(f"the sandbox cannot be used: {reason}", sandbox.INSTALL_HINT)

    def _why_not(self) -> str | None:
        """Why the sandbox cannot be used here; looked at once."""
        if self._unavailable is None:
            self._unavailable = (sandbox.unavailable(self.environ),)
        return self._unavailable[0]

    @property
    def sandboxed(self) -> bool:
        """Whether the agent's shell is confined: as configured, and with ``auto`` where that works."""
        if self.settings.legacy_git or self.settings.sandbox is False:
            return False
        return self.settings.sandbox is True or self._why_not() is None

    @property
    def agent_git(self) -> AgentGit:
        """What the agent may do with git: in the sandbox it reads; outside it has what was allowed by name."""
        if self.sandboxed:
            return AgentGit.READ
        if self.settings.legacy_git or self.settings.permission_mode == permissions.BYPASS:
            return AgentGit.COMMIT
        return permissions.git_allowed(self.settings.allow)

    @property
    def shell(self) -> str:
        """One line that says what the agent's shell can do."""
        if self.sandboxed:
            hosts = ", ".join(self.settings.domains)
            return f"agent's shell: sandboxed, {f'network: {hosts}' if hosts else 'no network'}"
        if self.settings.permission_mode == permissions.BYPASS:
            return "agent's shell: not sandboxed: it can do anything you can"
        if self.settings.allow:
            return "agent's shell: not sandboxed: what claude.allow runs can do anything you can"
        if self.settings.permission_mode == "dontAsk":
            return "agent's shell: not sandboxed: claude.allow is empty, so it runs reading commands only"
        return (
            "agent's shell: not sandboxed: claude.allow is empty, so it reads, and edits in its place, only"
        )

    def run(
        self,
        job: AgentJob,
        on_progress: OnProgress | None = None,
        on_spawn: OnSpawn | None = None,
        should_stop: ShouldStop | None = None,
    ) -> AgentRun:
        """Run the CLI on ``job``; resumes a session that exists, and starts afresh if one is lost.

        Raises Misconfigured or CannotCreate before anything is started, and nothing afterwards.
        """
        self.ready()
        run = self._invoke(job, on_progress, on_spawn, should_stop)
        seconds, tried = run.seconds, [job]
        while (other := _other_way(tried, run)) and not (should_stop is not None and should_stop()):
            tried.append(other)
            run = self._invoke(other, on_progress, on_spawn, should_stop)
            seconds += run.seconds
        return replace(run, seconds=seconds)

    def execute_task(
        self,
        task: Mapping[str, Any],
        worktree_path: str | os.PathLike[str],
        instructions_path: str | os.PathLike[str] | None = None,
        timeout: float = 600.0,
    ) -> AgentRun:
        """Run one agent on ``task`` (the board's object) in ``worktree_path``, for at most ``timeout`` seconds.

        ``instructions_path`` is the file of the role's instructions; the agent has none without it. The model follows
        from the task's difficulty. No board is told, nothing is locked, committed or salvaged: that is the caller's.

        Returns everything that is known of the run. ``outcome`` is what the agent says of its work (None: nothing),
        which is no proof; ``ending`` says whether it ended by itself. Raises NotFound if there is no such directory,
        Misconfigured or CannotCreate if the agent cannot be started, and UsageError for an unknown difficulty.
        """
        from hpm_tools.executor.single import job_for

        return self.run(job_for(self, task, worktree_path, instructions_path, timeout))

    # no failpoint: between agent.starting and agent.ended
    def _invoke(
        self,
        job: AgentJob,
        on_progress: OnProgress | None,
        on_spawn: OnSpawn | None,
        should_stop: ShouldStop | None,
    ) -> AgentRun:
        path = self.cli().path
        reader = StreamReader(str(job.cwd), self._clean)
        shown = None

        def on_line(line: bytes) -> bool:
            nonlocal shown
            final = reader.feed(line)
            if on_progress is not None and reader.progress is not None and reader.progress is not shown:
                shown = reader.progress
                on_progress(shown)
            return final

        if job.log_path is not None:
            with suppress(OSError):  # a run without a log is better than no run
                job.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        prompt = (job.resume_prompt or job.prompt) if job.resume else job.prompt
        with scratch_directory(job.run_id, self.environ) as scratch:
            environ = with_node({**self.environment(job.env), "TMPDIR": str(scratch)}, path)
            finished = supervise(
                [str(path), *self.arguments(job)],
                cwd=job.cwd,
                env=environ,
                stdin=prompt.encode("utf-8", "replace"),
                clocks=job.clocks,
                log=job.log_path,
                secrets=self._secrets,
                on_line=on_line,
                on_spawn=on_spawn,
                should_stop=should_stop,
                cookie=job.run_id,
                hands_over=True,
            )
        stderr = self._clean(finished.stderr.text())
        return fit_to_keep(_summed_up(job, reader, finished, stderr), self._clean)

    def arguments(self, job: AgentJob) -> list[str]:
        """The CLI's arguments for ``job``; the prompt is not among them."""
        arguments = ["-p", "--output-format", "stream-json", "--verbose"]
        arguments += ["--resume" if job.resume else "--session-id", job.session_id]
        if job.model:
            arguments += ["--model", job.model]
        if job.budget_usd is not None:
            arguments += ["--max-budget-usd", f"{max(job.budget_usd, 0.0001):.4f}"]
        arguments += ["--json-schema", json.dumps(OUTCOME_SCHEMA, separators=(",", ":"))]
        arguments += ["--add-dir", str(job.cwd)]
        settings: dict[str, Any] = {} if self.settings.legacy_git else {"hooks": permissions.NO_WORKTREES}
        unwritable = [] if self.settings.legacy_git else sandbox.unwritable(job.cwd)
        if self.sandboxed:
            hidden: list[str | os.PathLike[str]] = [*self.settings.secrets]
            hidden += sandbox.unreadable(job.cwd, self.environ)
            settings |= permissions.sandbox_settings(self.settings.domains, hidden, unwritable)
        return arguments + permissions.permission_arguments(
            mode=self.settings.permission_mode,
            allow=self.settings.allow,
            secrets=self.settings.secrets,
            project_settings=self.settings.project_settings,
            settings=settings,
            unwritable=unwritable,
            git=self.agent_git is not AgentGit.NONE,
            legacy_git=self.settings.legacy_git,
        )

    def check(self) -> list[CheckLine]:
        """What is in force: the CLI, its login, its permissions and its sandbox."""
        return [self._check_cli(), self._check_login(), self._check_permissions(), self._check_sandbox()]

    def _check_cli(self) -> CheckLine:
        try:
            found = self.cli()
        except Misconfigured as error:
            return CheckLine("claude", False, error.message, error.hint)
        passed_over = f"; passed over: {'; '.join(found.passed_over)}" if found.passed_over else ""
        return CheckLine("claude", True, f"{found.version} at {found.path}{passed_over}")

    def _check_login(self) -> CheckLine:
        how = login(self.environ)
        if how is None:
            found = None if self._cli is None else self._cli.path
            hint = f"run {as_typed(found, self.environ)} and log in, or set ANTHROPIC_API_KEY"
            return CheckLine("claude login", None, "no key, token or login was found", hint)
        return CheckLine("claude login", True, how)

    def _check_permissions(self) -> CheckLine:
        mode = self.settings.permission_mode
        try:
            permissions.check_mode(mode, self.environ)
            rules = permissions.allow_rules(self.settings.allow, git=self.settings.legacy_git)
        except Misconfigured as error:
            return CheckLine("claude permissions", False, error.message, error.hint)
        if mode == permissions.BYPASS:
            return CheckLine(
                "claude permissions", None, f"{mode}: agents may do anything this user may", "use acceptEdits"
            )
        text = f"{mode}; allowed: {', '.join(rules) or 'editing'}"
        if not self.settings.allow and not self.sandboxed:
            hint = "list the project's build and test commands in claude.allow"
            return CheckLine("claude permissions", None, f"{text}; agents cannot build or test", hint)
        return CheckLine("claude permissions", True, text)

    def _check_sandbox(self) -> CheckLine:
        reason = self._why_not()
        if self.settings.legacy_git:
            return CheckLine(
                "claude sandbox",
                None,
                f"off; {self.shell}; git log and git diff, too, for claude.sandbox is not set beside claude.allow",
                "set claude.sandbox to auto, true or false in config.yaml",
            )
        if self.sandboxed and reason is None:
            return CheckLine("claude sandbox", True, f"on; {self.shell}")
        if self.settings.sandbox is True:
            return CheckLine("claude sandbox", False, str(reason), sandbox.INSTALL_HINT)
        if reason is not None and self.settings.sandbox is not False:
            hint = f"{sandbox.INSTALL_HINT}, where agents have no git"
            return CheckLine("claude sandbox", None, f"off: {reason}; {self.shell}", hint)
        could = "could be used" if reason is None else f"could not be used ({reason})"
        return CheckLine("claude sandbox", True, f"off; it {could}; {self.shell}")


def _other_way(tried: Sequence[AgentJob], run: AgentRun) -> AgentJob | None:
    """How to run the job after all if only its session was in the way; None if it was not.

    A session that is in use already is resumed, one that is unknown is begun; one that is both (it
    began in a directory that is gone) is left alone for another.
    """
    job = tried[-1]
    said = "\n".join([run.stderr_tail, *run.errors])
    in_the_way = SESSION_UNKNOWN if job.resume else SESSION_IN_USE
    if run.ending != Ending.EXITED or run.turns or run.tool_uses or in_the_way not in said:
        return None
    if len(tried) == 1:
        return replace(job, resume=not job.resume, resume_prompt=None)
    if len(tried) == 2:
        return replace(job, resume=False, session_id=str(uuid.uuid4()), session_cost_usd=0.0)
    return None


def _summed_up(job: AgentJob, reader: StreamReader, finished: Finished, stderr: str) -> AgentRun:
    cost = settle(
        total=reader.total_cost,
        since_last=reader.since_last,
        version=reader.version,
        resumed=job.resume,
        previous=job.session_cost_usd,
        estimate=reader.estimate,
    )
    return AgentRun(
        session_id=reader.session_id or job.session_id,
        ending=finished.ending,
        returncode=finished.returncode,
        outcome=reader.outcome,
        started=reader.started,
        began=bool(reader.turns or reader.tool_uses),
        finished=reader.finished,
        is_error=reader.finished and reader.is_error,
        subtype=reader.result_field("subtype"),
        api_error_status=reader.api_error_status,
        api_error=reader.api_error,
        terminal_reason=reader.result_field("terminal_reason"),
        stop_reason=finished.stop_reason,
        denials=tuple(reader.denials.values()),
        errors=tuple(reader.errors),
        result_text=reader.text,
        turns=reader.turns,
        tool_uses=reader.tool_uses,
        cost_usd=cost.invocation,
        cost_estimated=cost.estimated,
        session_cost_usd=cost.session,
        tokens=reader.tokens,
        model=reader.model,
        cli_version=reader.version,
        resets_at=reader.resets_at,
        limit_kind=reader.limit_kind,
        seconds=finished.seconds,
        stderr_tail=stderr[-KEPT_OF_STDERR:].strip(),
        survivors=finished.survivors,
    )

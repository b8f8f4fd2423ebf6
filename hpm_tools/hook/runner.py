"""Runs hooks: JSON on stdin, messages on stdout, the exit code as the answer, within a time limit.

What follows from an answer is the caller's: a failed pre_task must stop the task (fail closed), a failed
post_task must stop nothing.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any

from hpm_tools import failpoints
from hpm_tools.errors import BadData, Misconfigured, TryLater
from hpm_tools.hook.finding import HookFinder, places, sentence, shipped_hooks
from hpm_tools.hook.outcome import MISSING, REFUSED, HookOutcome
from hpm_tools.names import hook_name
from hpm_tools.process.env import helper_environment
from hpm_tools.process.supervise import Clocks, supervise
from hpm_tools.redaction import redact, secret_values
from hpm_tools.text import for_terminal, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hpm_tools.config import Configuration

PRE_TASK, POST_TASK, HEALTH_CHECK = "pre_task", "post_task", "health_check"
MAX_DATA = 64 * 1024
OUTPUT_LIMIT = 64 * 1024
GRACE = 2.0
PASSED_ON = ("HEADLESS_PM_HOME", "HEADLESS_PM_CLAUDE_PATH")


def task_facts(task: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """What a hook is told about a task, in the guide's names; ``more`` is added (``success``, ``branch``, …)."""
    difficulty = task.get("difficulty") or task.get("skill_level")
    return {
        "task_id": task.get("id"),
        "task_title": one_line(str(task.get("title") or ""), 500),
        "difficulty": difficulty,
        "skill_level": difficulty,
        "complexity": task.get("complexity"),
        "status": task.get("status"),
        "target_role": task.get("target_role"),
        **more,
    }


class HookRunner(HookFinder):
    """Finds hooks in ``hooks_dir`` and runs them for at most ``timeout`` seconds each.

    ``hooks_dir`` is one directory, or several of which the first that has a hook wins; by default the one of the
    hooks that come with hpm-tools. ``environ`` is what the hook's environment is chosen from: the allowlist without
    any key or token, and the ``extra_names``. Its secrets, and ``secrets``, are kept out of what a hook is told to
    have said. ``facts`` go into every hook's data. ``outside`` are repositories in which no hook may lie, the shipped
    ones excepted: they are as safe as this program itself.
    """

    def __init__(
        self,
        hooks_dir: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        timeout: float = 30.0,
        environ: Mapping[str, str] | None = None,
        *,
        api_url: str = "",
        cwd: str | os.PathLike[str] | None = None,
        outside: Sequence[str | os.PathLike[str]] = (),
        facts: Mapping[str, Any] | None = None,
        extra_names: Iterable[str] = (),
        secrets: Iterable[str] = (),
    ) -> None:
        environ = os.environ if environ is None else environ
        self._env = _environment(environ, extra_names, api_url)
        if hooks_dir is None:
            hooks_dir = shipped_hooks()
        directories = [hooks_dir] if isinstance(hooks_dir, (str, os.PathLike)) else hooks_dir
        super().__init__(directories, outside=outside, search=self._env.get("PATH", os.defpath))
        self.timeout = timeout
        self.cwd = cwd
        self._facts = dict(facts or {})
        self._secrets = {*secret_values(environ), *secrets}

    @classmethod
    def from_config(
        cls, config: Configuration, environ: Mapping[str, str] | None = None, *, api_url: str = ""
    ) -> HookRunner:
        """The operator's hooks before the shipped ones; ``api_url`` replaces the configured one (embedded board)."""
        directories, outside = places(config)
        return cls(
            directories,
            config.hook_timeout,
            environ,
            api_url=api_url or config.api_url,
            cwd=config.repo,
            outside=outside,
            secrets=config.secrets(os.environ if environ is None else environ),
            facts={"repo": config.repo, "executor": config.executor, "cli": config.claude_path},
        )

    def run(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        cwd: str | os.PathLike[str] | None = None,
        cookie: str | None = None,
        should_stop: Callable[[], str | None] | None = None,
    ) -> HookOutcome:
        """Run the hook ``name`` with ``data`` as JSON on its stdin, and end every process it leaves behind.

        ``cookie`` marks its processes; give the run's id only while no agent of that run lives, for all
        that carry it are ended with the hook. Raises UsageError for a bad name and BadData for data that
        is no JSON or larger than 64 KiB; everything that is wrong with the hook itself is an outcome.
        """
        stdin = _encoded({"hook": name, **self._facts, **(data or {})})
        hook_name(name)
        path = None
        try:
            path = self.find(name)
            if path is None:
                return HookOutcome(name, None, None, "", "", 0.0, MISSING)
            with failpoints.around("hook"):
                finished = supervise(
                    self.command(path),
                    cwd=cwd or self.cwd,
                    env={**self._env, "HPM_HOOK": name},
                    stdin=stdin,
                    clocks=Clocks(total=self.timeout, grace=GRACE),
                    keep=OUTPUT_LIMIT,
                    should_stop=should_stop,
                    cookie=cookie or f"hook-{uuid.uuid4()}",
                )
        except (Misconfigured, TryLater) as error:
            return HookOutcome(name, path, None, "", self._shown(sentence(error)), 0.0, REFUSED)
        return HookOutcome(
            name,
            path,
            finished.returncode,
            finished.stdout.cleaned(self._shown),
            finished.stderr.cleaned(self._shown),
            finished.seconds,
            finished.ending,
            finished.survivors,
        )

    def run_pre_task(self, task: Mapping[str, Any]) -> HookOutcome:
        """Run the pre_task hook for ``task``, the board's object. Unless the outcome is ``ok``, leave the task alone.

        Raises BadData if the task is no JSON.
        """
        return self.run(PRE_TASK, task_facts(task))

    def run_post_task(
        self, task: Mapping[str, Any], success: bool, execution_time: float | None = None
    ) -> HookOutcome:
        """Run the post_task hook: ``task`` ended, well or not, after ``execution_time`` seconds.

        Raises BadData if the task is no JSON.
        """
        return self.run(POST_TASK, task_facts(task, success=success, execution_time=execution_time))

    def run_health_check(self) -> HookOutcome:
        """Run the health_check hook."""
        return self.run(HEALTH_CHECK)

    def _shown(self, text: str) -> str:
        return redact(for_terminal(text), self._secrets).strip("\n")


def _environment(environ: Mapping[str, str], extra_names: Iterable[str], api_url: str) -> dict[str, str]:
    told = {"HEADLESS_PM_API_URL": api_url} if api_url else {}
    return helper_environment(environ, {*extra_names, *PASSED_ON}) | told


def _encoded(data: Mapping[str, Any]) -> bytes:
    try:
        encoded = json.dumps(data, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadData(f"the hook's data cannot be JSON: {error}") from error
    if len(encoded) > MAX_DATA:
        raise BadData(f"the hook's data has {len(encoded)} bytes", f"at most {MAX_DATA} are passed on")
    return encoded

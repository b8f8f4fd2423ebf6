# Every command as a typed function, for editors and type checkers. Made from the code by `./inv docs`.
# fmt: off

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from invoke.collection import Collection
from invoke.context import Context

from hpm_tools.cli.invoke_tasks import HpmTask
from hpm_tools.cli.namespaces import Namespace
from hpm_tools.commands.results import (
    AnsweredPrompt,
    Commented,
    DeclaredSessions,
    HookAnswer,
    Hooks,
    Locks,
    MorningReport,
    NotifyTest,
    OfferedWords,
    OpenPrompts,
    ProjectFiles,
    Pruned,
    RegisteredAgent,
    ReleasedTask,
    RemovedWorktree,
    Report,
    Restored,
    Resumed,
    RetriedTask,
    Script,
    ShellCode,
    TakenTask,
    Trust,
    WorkPlace,
    Worktrees,
)
from hpm_tools.fan_out import fan_out as fan_out

ns: Namespace
claude: Collection
completion: Collection
hooks: Collection
notify: Collection
pm: Collection
worktree: Collection

class _Init(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> ProjectFiles: ...

init: _Init

class _Trust(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        repo: str | Path | None = None,
        revoke: bool = False,
        ref: str | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Trust: ...

trust: _Trust

class _Lock(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        task_id: int | None = None,
        task: str | Mapping[str, Any] | None = None,
        owner_pid: int | None = None,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] | None = None,
        force: bool = False,
        local: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> TakenTask: ...

lock: _Lock

class _Unlock(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        token: str | None = None,
        force: bool = False,
        local: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> ReleasedTask: ...

unlock: _Unlock

class _Locks(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Locks: ...

locks: _Locks

class _WorktreeAdd(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        task_id: int | None = None,
        branch: str | None = None,
        base: str | None = None,
        agent_id: str | None = None,
        token: str | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> WorkPlace: ...

worktree_add: _WorktreeAdd

class _WorktreeRemove(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        task_id: int | None = None,
        path: str | Path | None = None,
        agent_id: str | None = None,
        token: str | None = None,
        discard_ignored: bool = False,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> RemovedWorktree: ...

worktree_remove: _WorktreeRemove

class _WorktreeList(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Worktrees: ...

worktree_list: _WorktreeList

class _WorktreeRestore(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        ref: str,
        to: str | Path | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Restored: ...

worktree_restore: _WorktreeRestore

class _WorktreePrune(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        salvage: bool = False,
        older_than: float = 30.0,
        yes: bool = False,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Pruned: ...

worktree_prune: _WorktreePrune

class _ClaudeExec(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str | None = None,
        token: str | None = None,
        task_id: int | None = None,
        prompt_file: str | Path | None = None,
        difficulty: Literal["junior", "senior", "principal"] | None = None,
        model: str | None = None,
        cwd: str | Path | None = None,
        timeout: float | None = None,
        executor: Literal["claude", "command"] | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

claude_exec: _ClaudeExec

class _ClaudeModel(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        difficulty: Literal["junior", "senior", "principal"],
        explain: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

claude_model: _ClaudeModel

class _ClaudeCheck(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

claude_check: _ClaudeCheck

class _Finish(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        token: str | None = None,
        verdict: str | Path | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Report: ...

finish: _Finish

class _HooksRun(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        name: str,
        data: str | Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        hooks_dir: str | Path | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> HookAnswer: ...

hooks_run: _HooksRun

class _HooksList(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        hooks_dir: str | Path | None = None,
        repo: str | Path | None = None,
        sha256: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Hooks: ...

hooks_list: _HooksList

class _Health(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        repo: str | Path | None = None,
        executor: Literal["claude", "command"] | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

health: _Health

class _Run(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] | None = None,
        agent_id: str | None = None,
        session: str | None = None,
        level: Literal["junior", "senior", "principal"] | None = None,
        single_task: bool = False,
        max_tasks: int | None = None,
        hooks_dir: str | Path | None = None,
        roles_dir: str | Path | None = None,
        executor: Literal["claude", "command"] | None = None,
        on_problem: Literal["ask", "retry", "skip", "release", "stop"] | None = None,
        take_over: bool = False,
        explain: bool = False,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Script | None: ...

run: _Run

class _Sessions(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> DeclaredSessions: ...

sessions: _Sessions

class _Retry(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        task_id: int,
        status: Literal["created", "dev_done", "qa_done", "documentation_done", "committed", "evaluation", "approved"] | None = None,
        agent_id: str = "hpm_pm",
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> RetriedTask: ...

retry: _Retry

class _Recover(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        adopt: bool = False,
        owner_pid: int | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Resumed: ...

recover: _Recover

class _Events(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        follow: bool = False,
        since: str = "24h",
        agent_id: str | None = None,
        task_id: int | None = None,
        event: list[str] | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None: ...

events: _Events

class _Metrics(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        since: str = "24h",
        by: Literal["role", "agent", "model", "difficulty", "verdict"] | None = None,
        prometheus: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

metrics: _Metrics

class _Prompts(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> OpenPrompts: ...

prompts: _Prompts

class _Answer(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        choice: Literal["retry", "skip", "release", "stop", "park"],
        prompt: str | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> AnsweredPrompt: ...

answer: _Answer

class _PmRegister(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] | None = None,
        level: Literal["junior", "senior", "principal"] | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> RegisteredAgent: ...

pm_register: _PmRegister

class _PmNext(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] | None = None,
        level: Literal["junior", "senior", "principal"] | None = None,
        timeout: int = 0,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

pm_next: _PmNext

class _PmTask(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        task_id: int,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

pm_task: _PmTask

class _PmTasks(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        status: Literal["pending", "created", "under_work", "dev_done", "qa_done", "documentation_done", "committed", "evaluation", "approved"] | None = None,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"] | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

pm_tasks: _PmTasks

class _PmStatus(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        task_id: int,
        status: Literal["pending", "created", "under_work", "dev_done", "qa_done", "documentation_done", "committed", "evaluation", "approved"],
        notes: str | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

pm_status: _PmStatus

class _PmComment(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent_id: str,
        task_id: int,
        comment: str | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> Commented: ...

pm_comment: _PmComment

class _PmAdd(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        title: str,
        role: Literal["backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm"],
        difficulty: Literal["junior", "senior", "principal"] = "senior",
        complexity: Literal["minor", "major"] = "major",
        description: str = "",
        branch: str = "main",
        epic: str = "Work",
        feature: str = "Tasks",
        agent_id: str = "hpm_pm",
        pending: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

pm_add: _PmAdd

class _PmServe(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        port: int = 6969,
        db: str | Path | None = None,
        host: str = "127.0.0.1",
        key: str | None = None,
        key_env: str | None = None,
        upstream: bool = False,
        lock_delay: int = 0,
        clock_offset_file: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None: ...

pm_serve: _PmServe

class _NotifyTest(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> NotifyTest: ...

notify_test: _NotifyTest

class _Dashboard(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        port: int = 6970,
        host: str = "127.0.0.1",
        open: bool = False,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None: ...

dashboard: _Dashboard

class _Report(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        since: str = "yesterday",
        html: str | Path | None = None,
        repo: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> MorningReport: ...

report: _Report

class _Demo(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        agent: Literal["scripted", "claude"] = "scripted",
        keep: str | Path | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> dict[str, Any]: ...

demo: _Demo

class _CompletionBash(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> ShellCode: ...

completion_bash: _CompletionBash

class _CompletionZsh(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> ShellCode: ...

completion_zsh: _CompletionZsh

class _CompletionFish(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> ShellCode: ...

completion_fish: _CompletionFish

class _CompletionWords(HpmTask):
    def __call__(
        self,
        c: Context,
        *,
        word: list[str] | None = None,
        explain: bool = False,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> OfferedWords: ...

completion_words: _CompletionWords

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from hpm_tools.config import load_config
from hpm_tools.errors import Misconfigured
from hpm_tools.executor.base import AgentJob, AgentRun, Progress
from hpm_tools.executor.command import CommandExecutor
from hpm_tools.executor.scratch import scratch_path
from hpm_tools.executor.verdict import VerdictKind, classify
from hpm_tools.process.supervise import Child, Clocks, Ending
from hpm_tools.process.tree import carriers
from tests.support.waiting import wait_until

TASK = {"id": 12, "title": "Añade", "description": "x", "status": "created"}


def job(tmp_path: Path, **changes: Any) -> AgentJob:
    fields: dict[str, Any] = {
        "prompt": "do it\n",
        "cwd": tmp_path,
        "agent_id": "dev_001",
        "run_id": f"run-{tmp_path.name}",
        "session_id": "5e5510",
        "clocks": Clocks(total=600, grace=10),
        "task": TASK,
        "role": "backend_dev",
        "difficulty": "junior",
    }
    return AgentJob(**fields | changes)


def shell(script: str) -> CommandExecutor:
    return CommandExecutor(["sh", "-c", script], exit_code_is_outcome=True)


def python(program: str) -> CommandExecutor:
    return CommandExecutor([sys.executable, "-c", program])


def says(outcome: object, then: str = "") -> CommandExecutor:
    return python(
        f"import os; open(os.environ['HPM_OUTCOME_FILE'], 'w').write({json.dumps(outcome)!r}); {then}"
    )


def verdict_of(run: AgentRun, *, changed: bool = True, role: str = "backend_dev") -> VerdictKind:
    return classify(run, changed=changed, role=role).kind


class TestWhatTheProgramGets:
    def test_the_prompt_on_stdin_and_the_directory(self, tmp_path: Path) -> None:
        run = shell("cat > got.txt; pwd > where.txt").run(job(tmp_path, prompt="héllo\n" * 50_000))
        assert (tmp_path / "got.txt").read_text(encoding="utf-8") == "héllo\n" * 50_000
        assert Path((tmp_path / "where.txt").read_text().strip()).samefile(tmp_path)
        assert run.ending == Ending.EXITED

    def test_the_task_in_a_private_file(self, tmp_path: Path) -> None:
        shell('cp "$HPM_TASK_FILE" task.json; stat -c %a "$(dirname "$HPM_TASK_FILE")" > mode').run(
            job(tmp_path)
        )
        assert json.loads((tmp_path / "task.json").read_text(encoding="utf-8")) == TASK
        assert (tmp_path / "mode").read_text().strip() == "700"

    def test_a_run_without_a_task_has_no_task_file(self, tmp_path: Path) -> None:
        run = shell('echo "${HPM_TASK_FILE-none}"').run(job(tmp_path, task=None))
        assert run.result_text == "none"

    def test_the_facts_of_the_job_in_variables(self, tmp_path: Path) -> None:
        names = ["AGENT_ID", "ROLE", "DIFFICULTY", "MODEL", "BUDGET_USD", "SESSION_ID", "RESUME", "RUN_ID"]
        executor = shell("echo " + "/".join(f"$HPM_{name}" for name in names))
        run = executor.run(job(tmp_path, model="opus", budget_usd=2.5, resume=True, env={"EXTRA": "1"}))
        assert run.result_text == f"dev_001/backend_dev/junior/opus/2.5000/5e5510/1/run-{tmp_path.name}"
        assert run.session_id == "5e5510"

    def test_an_allowlisted_environment(self, tmp_path: Path) -> None:
        environ = {
            "PATH": os.environ["PATH"],
            "HEADLESS_PM_API_KEY": "board-key",
            "API_KEY": "other-key",
            "LD_PRELOAD": "",
            "NAMED": "yes",
            "UNNAMED": "no",
        }
        executor = CommandExecutor(["env"], environ, env_names=["NAMED", "HEADLESS_PM_API_KEY"])
        log = tmp_path / "log"
        executor.run(job(tmp_path, env={"FROM_JOB": "yes"}, log_path=log))
        names = {line.partition("=")[0] for line in log.read_text().splitlines()}
        assert {"NAMED", "FROM_JOB", "PATH", "HPM_TASK_FILE"} <= names
        assert not names & {"HEADLESS_PM_API_KEY", "API_KEY", "LD_PRELOAD", "UNNAMED"}

    def test_its_temporary_directory_is_gone_afterwards(self, tmp_path: Path) -> None:
        run = shell('touch "$TMPDIR/left"; echo "$TMPDIR"').run(job(tmp_path))
        assert run.result_text
        assert not Path(run.result_text).exists()


class TestOutcomes:
    def test_exit_code_0_means_done_and_the_last_line_is_the_summary(self, tmp_path: Path) -> None:
        run = shell("echo first; echo all good; echo").run(job(tmp_path))
        assert run.outcome is not None
        assert (run.outcome.status, run.outcome.summary) == ("done", "all good")
        assert verdict_of(run) is VerdictKind.DONE
        assert verdict_of(run, changed=False) is VerdictKind.NOTHING_DONE

    def test_another_exit_code_means_failed(self, tmp_path: Path) -> None:
        run = shell("echo no such table >&2; exit 3").run(job(tmp_path))
        assert run.outcome is not None
        assert run.outcome.summary == "the agent's program failed with exit code 3: no such table"
        assert verdict_of(run) is VerdictKind.FAILED

    @pytest.mark.parametrize(
        ("outcome", "role", "kind"),
        [
            ({"status": "done", "summary": "ok"}, "backend_dev", VerdictKind.DONE),
            ({"status": "blocked", "summary": "no access"}, "backend_dev", VerdictKind.BLOCKED),
            ({"status": "failed", "summary": "could not"}, "backend_dev", VerdictKind.FAILED),
            ({"status": "rejected", "summary": "bad", "findings": ["a", "b"]}, "qa", VerdictKind.REJECTED),
        ],
    )
    @pytest.mark.parametrize("code", [0, 1])
    def test_the_outcome_file_speaks_for_the_program(
        self, outcome: dict[str, Any], role: str, kind: VerdictKind, code: int, tmp_path: Path
    ) -> None:
        run = says(outcome, f"raise SystemExit({code})").run(job(tmp_path))
        if code and outcome["status"] == "done":
            kind = VerdictKind.CRASHED
        assert verdict_of(run, role=role) is kind
        assert run.outcome is not None
        assert list(run.outcome.findings) == outcome.get("findings", [])

    def test_no_change_needed_can_be_said(self, tmp_path: Path) -> None:
        run = says({"status": "done", "summary": "already there", "no_change": True}).run(job(tmp_path))
        assert verdict_of(run, changed=False) is VerdictKind.DONE

    @pytest.mark.parametrize(
        ("cost", "read"), [(0.25, 0.25), (3, 3.0), (-1, None), ("7", None), (True, None), (10**400, None)]
    )
    def test_the_cost_can_be_told(self, cost: object, read: float | None, tmp_path: Path) -> None:
        run = says({"status": "done", "summary": "x", "cost_usd": cost}).run(
            job(tmp_path, session_cost_usd=1.0)
        )
        assert run.cost_usd == read
        assert run.session_cost_usd == 1.0 + (read or 0.0)

    @pytest.mark.parametrize(
        "write",
        [
            'echo nonsense > "$HPM_OUTCOME_FILE"',
            'printf "\\377" > "$HPM_OUTCOME_FILE"',
            'echo \'{"status": "finished"}\' > "$HPM_OUTCOME_FILE"',
            'echo \'["done"]\' > "$HPM_OUTCOME_FILE"',
            ': > "$HPM_OUTCOME_FILE"',
            'head -c 2000000 /dev/zero > "$HPM_OUTCOME_FILE"',
            'head -c 200000 /dev/zero | tr "\\0" "[" > "$HPM_OUTCOME_FILE"',
            'ln -s /etc/passwd "$HPM_OUTCOME_FILE"',
            'mkfifo "$HPM_OUTCOME_FILE"',
            'mkdir "$HPM_OUTCOME_FILE"',
        ],
    )
    def test_an_outcome_file_that_is_none_is_a_failure_never_done(self, write: str, tmp_path: Path) -> None:
        run = shell(write).run(job(tmp_path))
        assert run.outcome is not None
        assert run.outcome.summary.startswith("the agent's program wrote no valid outcome: ")
        assert verdict_of(run) is VerdictKind.FAILED

    def test_the_outcome_of_a_killed_run_of_the_same_id_is_not_taken_over(self, tmp_path: Path) -> None:
        the_job = job(tmp_path)
        left = scratch_path(the_job.run_id, os.environ)
        left.mkdir(mode=0o700)
        (left / "outcome.json").write_text('{"status": "blocked", "summary": "old"}', encoding="utf-8")
        assert verdict_of(shell("echo new").run(the_job)) is VerdictKind.DONE

    @pytest.mark.parametrize("end", ["kill -KILL $$", "kill -SEGV $$", "exit 143"])
    def test_an_end_by_signal_is_a_crash(self, end: str, tmp_path: Path) -> None:
        run = shell(f"echo working; {end}").run(job(tmp_path))
        assert not run.finished
        assert verdict_of(run) is VerdictKind.CRASHED

    def test_a_program_that_a_wrapper_cannot_run_is_misconfigured(self, tmp_path: Path) -> None:
        run = shell("exec /nonexistent/agent").run(job(tmp_path))
        assert run.returncode == 127
        assert verdict_of(run) is VerdictKind.MISCONFIGURED


class TestSupervision:
    def test_progress_is_every_line_as_it_comes(self, tmp_path: Path) -> None:
        seen: list[Progress] = []
        shell("echo one; echo; printf 'tw\\377o'").run(job(tmp_path), on_progress=seen.append)
        assert [progress.text for progress in seen] == ["one", "tw\ufffdo"]

    def test_the_child_is_announced_before_it_is_fed(self, tmp_path: Path) -> None:
        children: list[tuple[Child, bool]] = []
        fed = tmp_path / "fed"

        def on_spawn(child: Child) -> None:
            wait_until(fed.exists)
            children.append((child, fed.stat().st_size > 0))

        shell("cat > fed").run(job(tmp_path), on_spawn=on_spawn)
        assert [was_fed for _, was_fed in children] == [False]
        assert children[0][0].pid > 1
        assert fed.read_text() == "do it\n"

    def test_the_time_limit_ends_all_of_it_and_no_outcome_counts(self, tmp_path: Path) -> None:
        the_job = job(tmp_path, clocks=Clocks(total=1.5, grace=0.2))
        run = says(
            {"status": "done", "summary": "x"},
            "import subprocess, time; subprocess.Popen(['setsid', 'sleep', '600']); time.sleep(600)",
        ).run(the_job)
        assert run.ending == Ending.TIMED_OUT
        assert run.outcome is None
        assert verdict_of(run) is VerdictKind.TIMED_OUT
        assert carriers(the_job.run_id) == []

    def test_a_silent_program_is_no_stalled_one(self, tmp_path: Path) -> None:
        run = shell("sleep 0.5").run(job(tmp_path, clocks=Clocks(total=600, first_event=0.1, stall=0.1)))
        assert run.ending == Ending.EXITED

    def test_it_stops_when_told(self, tmp_path: Path) -> None:
        started = tmp_path / "started"
        run = shell("touch started; sleep 600").run(
            job(tmp_path), should_stop=lambda: "the lock is lost" if started.exists() else None
        )
        assert (run.ending, run.stop_reason) == (Ending.STOPPED, "the lock is lost")
        assert verdict_of(run) is VerdictKind.STOPPED

    def test_the_log_is_private_and_without_secrets(self, tmp_path: Path) -> None:
        environ = {"PATH": os.environ["PATH"], "MY_TOKEN": "hunter2hunter2"}
        executor = CommandExecutor(
            ["sh", "-c", "echo token hunter2hunter2; echo $MY_TOKEN >&2; exit 1"], environ, ["MY_TOKEN"]
        )
        log = tmp_path / "run.log"
        run = executor.run(job(tmp_path, log_path=log))
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert run.outcome is not None
        for text in (log.read_text(), run.result_text, run.stderr_tail, run.outcome.summary):
            assert "hunter2" not in text
            assert "[redacted]" in text


class TestSettings:
    def test_a_missing_program_is_said_before_anything_starts(self, tmp_path: Path) -> None:
        for argv, fault in (
            ([], "no program"),
            (["no-such-agent"], "not there"),
            (["./agent.sh"], "relative path"),
        ):
            executor = CommandExecutor(argv)
            with pytest.raises(Misconfigured, match=fault):
                executor.run(job(tmp_path))
            assert [line.ok for line in executor.check()] == [False]
        assert not scratch_path(job(tmp_path).run_id, os.environ).exists()

    def test_check_names_the_program(self) -> None:
        line = CommandExecutor(["sh"]).check()[0]
        assert line.ok
        assert line.text.endswith("/sh")

    def test_the_configuration_gives_program_and_variables(self, tmp_path: Path, isolated: Path) -> None:
        (isolated / ".headless-pm").mkdir(mode=0o700)
        (isolated / ".headless-pm" / "config.yaml").write_text(
            'executor: command\nexecutor_command: [sh, -c, "echo $NAMED"]\nclaude: {env: [NAMED]}\n',
            encoding="utf-8",
        )
        environ = {**os.environ, "NAMED": "arrived"}
        config = load_config(environ=environ, start_dir=tmp_path)
        run = CommandExecutor.from_config(config, environ).run(job(tmp_path))
        assert run.result_text == "arrived"


def test_no_process_of_a_run_is_left_after_a_clean_exit_either(tmp_path: Path) -> None:
    the_job = job(tmp_path)
    run = shell("(setsid sleep 600 &) ; echo done").run(the_job)
    assert verdict_of(run) is VerdictKind.DONE
    wait_until(lambda: not carriers(the_job.run_id), what="the end of the process that was left behind")

"""The real CLI at work: what it does is what is understood of it."""

from __future__ import annotations

import os
import stat
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.executor.scratch import scratch_path
from hpm_tools.executor.verdict import VerdictKind as K
from hpm_tools.process.supervise import Clocks, Ending
from hpm_tools.process.tree import carriers
from tests.support.fixtures_claude import bundled_cli

if TYPE_CHECKING:
    from tests.support.fixtures_claude import ClaudeBench

WRITE = {"write": {"path": "hello.txt", "content": "hello\n"}}
COMMIT = {"commit": "Say hello"}
WORDS = {"text": "I am finished."}


def test_work_is_done_and_committed(claude: ClaudeBench) -> None:
    claude.play(WRITE, COMMIT)
    log = claude.directory / "runs" / "one.log"
    job = claude.job("Say hello in hello.txt.", log_path=log, budget_usd=1.0)
    run = claude.run(job)
    verdict = claude.verdict(run)

    assert verdict.kind == K.DONE, verdict
    assert verdict.summary == "done as scripted"
    assert claude.git("show", "HEAD:hello.txt") == "hello"
    assert (run.session_id, run.returncode, run.ending) == (job.session_id, 0, Ending.EXITED)
    assert run.cost_usd == pytest.approx(0.0021)
    assert not run.cost_estimated
    assert run.tool_uses == 3
    assert [now.text for now in claude.progress][:2] == [
        "Write hello.txt",
        "Bash git add -A && git commit -q -m 'Say hello'",
    ]
    assert len(claude.children) == 1
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert b'"structured_output"' in log.read_bytes()
    assert not scratch_path(job.run_id, claude.environ).exists()
    assert not carriers(job.run_id)


def test_the_prompt_arrives_whole(claude: ClaudeBench) -> None:
    claude.play()
    prompt = "START " + "x" * 300_000 + " ünï→ END"
    claude.run(claude.job(prompt))
    said = claude.said_to_agent()
    assert prompt in said


def test_the_model_is_asked_for_by_its_alias(claude: ClaudeBench) -> None:
    claude.play()
    run = claude.run(claude.job(model="opus"))
    assert "opus" in run.model
    assert claude.endpoint.turns[-1]["body"]["model"] == run.model


def test_a_refused_tool_is_told_though_the_exit_code_is_0(claude: ClaudeBench) -> None:
    claude.play({"bash": "python3 -c 'print(1)'"}, WORDS, WORDS)
    run = claude.run()
    assert (run.returncode, run.is_error, run.subtype) == (0, False, "success")
    verdict = claude.verdict(run)
    assert verdict.kind == K.DENIED
    assert verdict.denials == ("Bash: python3 -c 'print(1)'",)


def test_a_refused_tool_does_not_undo_work_that_was_done(claude: ClaudeBench) -> None:
    claude.play(WRITE, {"bash": "python3 -m pytest"}, COMMIT)
    verdict = claude.verdict(claude.run())
    assert verdict.kind == K.DONE
    assert verdict.denials == ("Bash: python3 -m pytest",)


def test_what_the_operator_allows_runs(claude: ClaudeBench) -> None:
    claude.play({"bash": "python3 -c 'print(6*7)'"})
    run = claude.run(executor=claude.executor(allow=("python3 -c",)))
    assert not run.denials
    assert "42" in claude.said_to_agent()


def test_the_board_and_keys_are_out_of_reach(claude: ClaudeBench) -> None:
    (claude.repo / ".env").write_text("API_KEY=of-the-board")
    state = claude.directory / "state"
    state.mkdir()
    (state / "config.yaml").write_text("api_key: of-the-board")
    tries = [
        "cat .env",
        "python3 headless_pm_client.py next",
        "cd /tmp && cat ~/.headless-pm/config.yaml",
        f"cat {state}/config.yaml",
    ]
    claude.play(
        *({"bash": command} for command in tries), {"tool": "Read", "input": {"file_path": "${cwd}/.env"}}
    )
    run = claude.run(executor=claude.executor(allow=("Bash",), secrets=(str(state),)))
    assert len(run.denials) == len(tries) + 1
    assert "of-the-board" not in claude.said_to_agent()
    assert sum(denial.by_policy for denial in run.denials) >= 4


def test_the_environment_is_an_allowlist(claude: ClaudeBench) -> None:
    claude.environ |= {
        "HEADLESS_PM_API_KEY": "board-key-secret",
        "API_KEY": "board-key-secret",
        "GH_TOKEN": "ghp-secret",
        "LD_PRELOAD": "",
        "CLAUDECODE": "1",
        "CLAUDE_CODE_SESSION_ID": "outer",
        "MY_BUILD": "wanted-value",
    }
    claude.play({"bash": "env | sort"})
    job = claude.job()
    claude.run(job, claude.executor(allow=("env", "sort"), env_names=("MY_BUILD",)))
    said = claude.said_to_agent()
    assert f"HPM_RUN_ID={job.run_id}" in said
    assert "MY_BUILD=wanted-value" in said
    for absent in ("board-key-secret", "ghp-secret", "LD_PRELOAD", "CLAUDE_CODE_SESSION_ID=outer"):
        assert absent not in said


def test_secrets_are_kept_out_of_logs_and_words(claude: ClaudeBench) -> None:
    key = claude.environ["ANTHROPIC_API_KEY"]
    outcome = {"status": "blocked", "summary": f"the key is {key}", "findings": [key]}
    claude.play({"bash": "printenv ANTHROPIC_API_KEY"}, {"outcome": outcome})
    log = claude.directory / "one.log"
    verdict = claude.verdict(claude.run(claude.job(log_path=log), claude.executor(allow=("printenv",))))
    assert verdict.kind == K.BLOCKED
    assert key not in str(verdict)
    assert key.encode() not in log.read_bytes()


@pytest.mark.fault("exit-code-0")
def test_nothing_done(claude: ClaudeBench) -> None:
    claude.play()
    assert claude.verdict(claude.run()).kind == K.NOTHING_DONE


def test_no_change_needed(claude: ClaudeBench) -> None:
    claude.play({"outcome": {"status": "done", "summary": "it was there already", "no_change": True}})
    assert claude.verdict(claude.run()).kind == K.DONE


@pytest.mark.fault("exit-code-0")
def test_an_end_without_an_outcome(claude: ClaudeBench) -> None:
    claude.play(WRITE, WORDS, WORDS)
    run = claude.run()
    assert (run.returncode, run.outcome) == (0, None)
    assert claude.verdict(run).kind == K.CRASHED


def test_qa_rejects(claude: ClaudeBench) -> None:
    claude.play({"outcome": {"status": "rejected", "summary": "it is wrong", "findings": ["line 3"]}})
    verdict = claude.verdict(claude.run(), role="qa")
    assert (verdict.kind, verdict.findings) == (K.REJECTED, ("line 3",))


SERVICE: dict[str, tuple[dict[str, Any], K]] = {
    "400": ({"fail": {"status": 400}}, K.CRASHED),
    "401": ({"fail": {"status": 401}}, K.AUTH),
    "403": ({"fail": {"status": 403}}, K.AUTH),
    "no credit": ({"fail": {"status": 400, "message": "Your credit balance is too low"}}, K.AUTH),
    "404": ({"fail": {"status": 404, "message": "model: sonnet"}}, K.MISCONFIGURED),
    "429": ({"fail": {"status": 429}}, K.OVERLOADED),
    "500": ({"fail": {"status": 500}}, K.OVERLOADED),
    "529": ({"fail": {"status": 529}}, K.OVERLOADED),
    "dropped": ({"drop": True}, K.NETWORK),
}


ALIKE = ("403", "500")
"""Judged like "401" and "529"; each is a start of the real CLI."""


@pytest.mark.fault("service-fails")
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        pytest.param(*SERVICE[name], id=name, marks=pytest.mark.extended if name in ALIKE else ())
        for name in SERVICE
    ],
)
def test_errors_of_the_service(claude: ClaudeBench, step: dict[str, Any], kind: K) -> None:
    claude.play(step)
    run = claude.run()
    assert run.returncode == 1
    verdict = claude.verdict(run)
    assert verdict.kind == kind, run
    assert verdict.detail


def test_errors_that_pass_are_outlived(claude: ClaudeBench) -> None:
    claude.play({"fail": {"status": 529, "times": 1}, **WRITE})
    assert claude.verdict(claude.run()).kind == K.DONE


def test_a_service_that_cannot_be_reached(claude: ClaudeBench) -> None:
    claude.environ["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9"
    assert claude.verdict(claude.run()).kind == K.NETWORK


def test_nobody_logged_in(claude: ClaudeBench) -> None:
    del claude.environ["ANTHROPIC_API_KEY"]
    verdict = claude.verdict(claude.run())
    assert verdict.kind == K.AUTH
    assert "/login" in verdict.detail


def test_a_refused_login_costs_seconds_not_minutes(claude: ClaudeBench) -> None:
    del claude.environ["CLAUDE_CODE_MAX_RETRIES"]
    claude.play({"fail": {"status": 401}})
    claude.run()
    assert len(claude.endpoint.turns) == 4


def test_a_usage_limit_ends_and_the_session_goes_on(claude: ClaudeBench) -> None:
    claude.environ["CLAUDE_CODE_OAUTH_TOKEN"] = "dummy-oauth-token"
    del claude.environ["ANTHROPIC_API_KEY"]
    claude.play(WRITE, {"fail": {"limit": {"kind": "five_hour", "resets_in": 3600}}, **COMMIT})
    job = claude.job()
    run = claude.run(job)
    verdict = claude.verdict(run)
    assert (verdict.kind, verdict.limit_kind, run.api_error_status) == (K.LIMIT, "five_hour", 429)
    assert verdict.resets_at is not None
    assert 3000 < verdict.resets_at - time.time() < 4000
    assert claude.endpoint.turns[-1]["login"] == "token"

    claude.play(COMMIT)
    run = claude.run(replace(job, resume=True, resume_prompt="Go on."))
    assert claude.verdict(run).kind == K.DONE
    assert "hello.txt" in claude.said_to_agent()
    assert claude.git("log", "-1", "--format=%s") == "Say hello"


def test_the_budget_ends_a_run(claude: ClaudeBench) -> None:
    claude.play(*({"bash": f"echo {number}"} for number in range(5)), usage={"output_tokens": 100_000})
    run = claude.run(claude.job(budget_usd=1.5))
    verdict = claude.verdict(run)
    assert (verdict.kind, run.subtype) == (K.BUDGET, "error_max_budget_usd")
    assert verdict.cost_usd is not None
    assert 1.5 <= verdict.cost_usd < 3.5


def test_a_limit_of_turns_ends_a_run(claude: ClaudeBench) -> None:
    wrapper = claude.directory / "claude"
    wrapper.write_text(f'#!/bin/sh\nexec {bundled_cli()} "$@" --max-turns 1\n')
    wrapper.chmod(0o755)
    claude.play(WRITE, COMMIT)
    run = claude.run(executor=claude.executor(path=str(wrapper)))
    assert (claude.verdict(run).kind, run.subtype) == (K.BUDGET, "error_max_turns")


@pytest.mark.fault("session-cost")
@pytest.mark.extended
def test_the_cost_of_each_run_of_a_session(claude: ClaudeBench) -> None:
    claude.play()
    job = claude.job()
    total = 0.0
    for resume in (False, True, True):
        run = claude.run(replace(job, resume=resume, session_cost_usd=total))
        assert run.cost_usd == pytest.approx(0.0007)
        assert run.session_cost_usd == pytest.approx(total + 0.0007)
        total = run.session_cost_usd


def test_silence_is_a_stall_and_leaves_nothing_behind(claude: ClaudeBench) -> None:
    # More tokens than its characters would be: they are priced if they are more, and the path of this place is among them.
    claude.play({**WRITE, "usage": {"output_tokens": 1000}}, {"hang": True})
    job = claude.job(clocks=Clocks(total=600.0, stall=20.0, grace=60.0))
    run = claude.run(job)
    assert (claude.verdict(run).kind, run.finished) == (K.STALLED, False)
    assert run.cost_estimated
    assert run.cost_usd == pytest.approx(0.0102)
    assert not carriers(job.run_id)

    claude.play(COMMIT)
    run = claude.run(replace(job, resume=True, session_cost_usd=run.session_cost_usd))
    assert claude.verdict(run).kind == K.DONE


def test_a_stopped_run_ends_at_once(claude: ClaudeBench) -> None:
    claude.play(WRITE, {"hang": True})
    run = claude.run(should_stop=lambda: "the lock was lost" if claude.progress else None)
    assert (run.ending, run.returncode) == (Ending.STOPPED, 143)
    verdict = claude.verdict(run)
    assert (verdict.kind, verdict.summary) == (K.STOPPED, "stopped: the lock was lost")


def test_a_killed_run_is_resumed_with_its_earlier_turns(claude: ClaudeBench) -> None:
    claude.play(WRITE, {"bash": "git status"}, {"hang": True})
    job = claude.job("Say hello. MARK-7")

    def kill(_now: object) -> None:
        if len(claude.endpoint.turns) == 3:
            os.kill(claude.children[0].pid, 9)

    run = claude.run(job, should_stop=lambda: kill(None))
    assert (run.returncode, claude.verdict(run).kind) == (-9, K.CRASHED)
    assert not carriers(job.run_id)

    claude.play(COMMIT)
    run = claude.run(replace(job, resume=True, resume_prompt="Go on where you left off."))
    assert claude.verdict(run).kind == K.DONE
    said = claude.said_to_agent()
    for earlier in ("MARK-7", "hello.txt", "git status", "Go on where you left off."):
        assert earlier in said
    assert run.session_id == job.session_id


@pytest.mark.extended
def test_a_session_goes_on_in_a_worktree_that_was_made_again(claude: ClaudeBench) -> None:
    worktree = claude.repo / ".worktrees" / "task-1"
    claude.play(WRITE)
    job = claude.job(cwd=worktree)
    for number, prompt in enumerate(("First words.", "Second words.")):
        claude.git("worktree", "add", "-q", "-B", "task-1", str(worktree))
        run = claude.run(replace(job, prompt=prompt, resume=number > 0))
        assert run.outcome is not None
        assert (worktree / "hello.txt").exists()
        claude.git("worktree", "remove", "--force", str(worktree))
    said = claude.said_to_agent()
    assert "First words." in said
    assert "Second words." in said


def test_what_is_in_force_can_be_asked(claude: ClaudeBench) -> None:
    lines = {line.name: line for line in claude.executor().check()}
    assert lines["claude"].ok is True
    assert str(bundled_cli()) in lines["claude"].text
    assert (lines["claude login"].ok, lines["claude login"].text) == (True, "ANTHROPIC_API_KEY")
    assert lines["claude permissions"].ok is None
    assert "in claude.allow" in lines["claude permissions"].hint
    assert lines["claude sandbox"].text.startswith("off")
    allowed = claude.executor(allow=("make",)).check()[2]
    assert (allowed.ok, "Bash(make:*)" in allowed.text) == (True, True)
    assert claude.executor(permission_mode="yolo").check()[2].ok is False
    del claude.environ["ANTHROPIC_API_KEY"]
    assert claude.executor().check()[1].ok is None


@pytest.mark.fault("session-lost")
def test_a_session_that_exists_is_resumed(claude: ClaudeBench) -> None:
    claude.play(WRITE)
    job = claude.job("First words.")
    claude.run(job)
    claude.play(COMMIT)
    run = claude.run(replace(job, prompt="Second words."))
    assert claude.verdict(run).kind == K.DONE
    assert "First words." in claude.said_to_agent()
    assert len(claude.children) == 3


@pytest.mark.fault("session-lost")
def test_a_session_that_is_lost_is_begun_with_the_whole_prompt(claude: ClaudeBench) -> None:
    claude.play(WRITE, COMMIT)
    job = claude.job("The whole prompt.", resume=True, resume_prompt="Go on.")
    run = claude.run(job)
    assert claude.verdict(run).kind == K.DONE
    assert run.session_id == job.session_id
    said = claude.said_to_agent()
    assert "The whole prompt." in said
    assert "Go on." not in said


@pytest.mark.fault("agent-silent")
def test_a_cli_that_hangs_after_its_result(claude: ClaudeBench) -> None:
    wrapper = claude.directory / "claude"
    wrapper.write_text(f'#!/bin/sh\n{bundled_cli()} "$@"\n[ "$1" = --version ] || sleep 600\n')
    wrapper.chmod(0o755)
    claude.play(WRITE, COMMIT)
    job = claude.job(clocks=Clocks(total=600.0, linger=0.5, grace=0.5))
    run = claude.run(job, claude.executor(path=str(wrapper)))
    assert run.ending == Ending.LINGERED
    assert claude.verdict(run).kind == K.DONE
    assert not carriers(job.run_id)


def test_a_cli_that_refuses_its_arguments(claude: ClaudeBench) -> None:
    run = claude.run(claude.job(session_id="no-uuid"))
    verdict = claude.verdict(run)
    assert (verdict.kind, run.started) == (K.MISCONFIGURED, False)
    assert "UUID" in verdict.detail


@pytest.mark.needs("root")
def test_bypassing_permissions_as_root(claude: ClaudeBench) -> None:
    executor = claude.executor(permission_mode="bypassPermissions")
    with pytest.raises(Misconfigured, match="refused to root"):
        claude.run(executor=executor)
    assert not claude.children
    claude.environ["IS_SANDBOX"] = "1"
    claude.play({"bash": "python3 -c 'print(6*7)'"})
    run = claude.run(executor=claude.executor(permission_mode="bypassPermissions"))
    assert not run.denials
    assert "42" in claude.said_to_agent()


def test_no_cli_at_all(claude: ClaudeBench) -> None:
    executor = claude.executor(path=str(claude.directory / "nothing"))
    with pytest.raises(Misconfigured, match="does not exist"):
        claude.run(claude.job(session_id=str(uuid.uuid4())), executor)
    line = executor.check()[0]
    assert (line.ok, line.name) == (False, "claude")

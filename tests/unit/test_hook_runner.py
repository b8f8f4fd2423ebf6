from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.config import load_config
from hpm_tools.errors import BadData, Misconfigured, UsageError
from hpm_tools.hook.finding import shipped_hooks
from hpm_tools.hook.outcome import MISSING, REFUSED, HookOutcome
from hpm_tools.hook.runner import HookRunner, task_facts
from hpm_tools.process.supervise import Ending
from hpm_tools.process.tree import carriers
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    directory = tmp_path / "hooks"
    directory.mkdir(mode=0o755)
    return directory


def write(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def run(directory: Path, name: str = "h", data: dict[str, Any] | None = None, **options: Any) -> HookOutcome:
    return HookRunner([directory], **{"timeout": 30, "cwd": directory, **options}).run(name, data)


class TestKinds:
    def test_python_hooks_run_with_this_python_executable_or_not(self, hooks: Path) -> None:
        write(hooks / "h.py", "#!/nonexistent/python\nimport sys; print(sys.executable)\n", 0o644)
        outcome = run(hooks)
        assert outcome.ok
        assert outcome.messages == sys.executable
        assert not (hooks / "__pycache__").exists()

    @pytest.mark.parametrize(
        ("text", "mode", "said"),
        [
            ("echo plain\n", 0o644, "plain"),
            ("echo plain\n", 0o755, "plain"),
            ("#!/bin/sh\necho shell\n", 0o644, "shell"),
            ("#!/usr/bin/env bash\necho ${BASH_VERSION:+bash}\n", 0o644, "bash"),
            ("#!/bin/bash\necho ${BASH_VERSION:+bash}\n", 0o755, "bash"),
        ],
    )
    def test_shell_hooks(self, text: str, mode: int, said: str, hooks: Path) -> None:
        write(hooks / "h.sh", text, mode)
        assert run(hooks).messages == said

    def test_any_executable(self, hooks: Path) -> None:
        write(hooks / "h", f"#!{sys.executable}\nprint('any')\n")
        assert run(hooks).messages == "any"
        (hooks / "b").symlink_to("h")
        assert run(hooks, "b").messages == "any"

    def test_the_first_suffix_and_the_first_directory_win(self, hooks: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        write(other / "h.py", "print('other')")
        runner = HookRunner([hooks, other])
        assert runner.run("h").messages == "other"
        write(hooks / "h", "#!/bin/sh\necho bare\n")
        assert runner.run("h").messages == "bare"
        write(hooks / "h.sh", "echo sh\n")
        assert runner.run("h").messages == "sh"
        write(hooks / "h.py", "print('py')")
        assert runner.run("h").messages == "py"


class TestContract:
    def test_json_on_stdin(self, hooks: Path) -> None:
        write(hooks / "h.py", "import json, sys; print(json.dumps(json.load(sys.stdin)))")
        data = {"task_id": 7, "title": "ü\ud800\x1b", "deep": [{"x": None}]}
        outcome = HookRunner([hooks], facts={"repo": "/r", "task_id": 1}).run("h", data)
        assert json.loads(outcome.messages) == {"hook": "h", "repo": "/r", **data}

    def test_the_exit_code_is_the_answer(self, hooks: Path) -> None:
        write(hooks / "h.sh", "echo said; echo why >&2; exit 3\n")
        outcome = run(hooks)
        assert (outcome.ok, outcome.returncode, outcome.ending) == (False, 3, Ending.EXITED)
        assert (outcome.messages, outcome.errors) == ("said", "why")
        assert outcome.reason == "the hook h failed with exit code 3: why"

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("echo ok a; echo fail b; echo FAIL c; echo ok d", "fail b; FAIL c"),
            ("echo fail b; echo first >&2; echo last >&2", "last"),
            ("echo first; echo last", "last"),
            ("true", ""),
        ],
    )
    def test_the_reason_is_what_went_wrong_in_one_line(self, script: str, said: str, hooks: Path) -> None:
        write(hooks / "h.sh", f"{script}\nexit 1\n")
        assert run(hooks).reason == "the hook h failed with exit code 1" + (f": {said}" if said else "")

    def test_no_hook_is_no_failure(self, hooks: Path) -> None:
        outcome = run(hooks)
        assert (outcome.ok, outcome.ending, outcome.path, outcome.reason) == (True, MISSING, None, "")

    def test_a_directory_that_is_gone_does_not_pass_for_no_hook(self, hooks: Path) -> None:
        runner = HookRunner([hooks, shipped_hooks()])
        hooks.rmdir()
        outcome = runner.run("pre_task")
        assert (outcome.ok, outcome.ending) == (False, REFUSED)
        assert "does not exist" in outcome.reason
        with pytest.raises(Misconfigured):
            runner.list()

    @pytest.mark.fault("hook-misbehaves")
    def test_a_hook_that_reads_nothing_is_not_held_up(self, hooks: Path) -> None:
        write(hooks / "h.sh", "exec 0<&-\necho ok\n")
        assert run(hooks, data={"text": "x" * 60_000}).ok

    def test_it_works_in_the_given_directory(self, hooks: Path, tmp_path: Path) -> None:
        write(hooks / "h.sh", "pwd -P\n")
        assert run(hooks, cwd=tmp_path).messages == str(tmp_path.resolve())
        assert HookRunner([hooks], cwd=None).run("h", cwd=tmp_path).messages == str(tmp_path.resolve())

    def test_an_outcome_is_json(self, hooks: Path) -> None:
        write(hooks / "h.sh", "echo ok\n")
        data = json.loads(json.dumps(run(hooks).to_json()))
        assert data["ok"] is True
        assert data["ending"] == "exited"
        assert data["path"] == str(hooks / "h.sh")

    @pytest.mark.parametrize("name", ["", "../h", "h.py", "H", "a b", "-h", "x" * 65, "h\n", "/bin/sh"])
    def test_bad_names_never_become_a_path(self, name: str, hooks: Path) -> None:
        write(hooks / "h.py", "print('ran')")
        if name == "-h":
            assert run(hooks, name).ending == MISSING
        else:
            with pytest.raises(UsageError):
                run(hooks, name)

    @pytest.mark.parametrize("data", [{"x": "x" * 70_000}, {"x": float("nan")}, {"x": object()}])
    def test_data_that_cannot_be_passed_is_refused(self, data: dict[str, Any], hooks: Path) -> None:
        with pytest.raises(BadData):
            run(hooks, data=data)


class TestEnvironment:
    def test_an_allowlist_without_key_or_login(self, hooks: Path) -> None:
        write(hooks / "h.sh", "env\n")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": "/h",
            "HEADLESS_PM_API_KEY": "board-key",
            "API_KEY_HEADLESS_PM": "board-key",
            "HEADLESS_PM_HOME": "/state",
            "HEADLESS_PM_CLAUDE_PATH": "/cli",
            "ANTHROPIC_API_KEY": "sk-ant-x",
            "CLAUDE_CODE_OAUTH_TOKEN": "t",
            "LD_PRELOAD": "/x.so",
            "PYTHONPATH": "/evil",
            "NAMED": "1",
        }
        outcome = run(hooks, environ=environ, api_url="http://localhost:1", extra_names=["NAMED"])
        variables = dict(line.partition("=")[::2] for line in outcome.messages.splitlines())
        for name, value in {
            "HEADLESS_PM_API_URL": "http://localhost:1",
            "HEADLESS_PM_HOME": "/state",
            "HEADLESS_PM_CLAUDE_PATH": "/cli",
            "HPM_HOOK": "h",
            "NAMED": "1",
        }.items():
            assert variables[name] == value
        assert variables["HPM_RUN_ID"].startswith("hook-")
        assert not {
            *("HEADLESS_PM_API_KEY", "API_KEY_HEADLESS_PM", "ANTHROPIC_API_KEY"),
            *("CLAUDE_CODE_OAUTH_TOKEN", "LD_PRELOAD", "PYTHONPATH"),
        } & set(variables)

    def test_what_it_prints_is_safe_and_without_secrets(self, hooks: Path) -> None:
        write(
            hooks / "h.sh",
            r"printf 'key is hunter2hunter2 \033]52;c;x\007\033[31mred\033[0m \377 \342\200\256'",
        )
        outcome = run(hooks, environ={"PATH": os.environ["PATH"], "HEADLESS_PM_API_KEY": "hunter2hunter2"})
        assert outcome.messages == "key is [redacted] red \ufffd "


class TestLimits:
    @pytest.mark.fault("P5")
    def test_the_time_limit_ends_it_with_everything_it_started(self, hooks: Path) -> None:
        script = "trap '' TERM\nsetsid sh -c 'trap \"\" TERM; sleep 600' &\nsleep 600 & wait\nsleep 600\n"
        write(hooks / "h.sh", script)
        cookie = f"hook-test-{hooks.parent.name}"
        outcome = HookRunner([hooks], timeout=1.0, cwd=hooks).run("h", cookie=cookie)
        assert outcome.seconds < 300
        assert (outcome.ok, outcome.timed_out, outcome.ending) == (False, True, Ending.TIMED_OUT)
        assert "time limit" in outcome.reason
        assert outcome.survivors == ()
        assert carriers(cookie) == []

    @pytest.mark.fault("hook-misbehaves")
    def test_a_process_left_behind_neither_delays_nor_survives_it(self, hooks: Path) -> None:
        write(hooks / "h.sh", "setsid sleep 600 &\necho $HPM_RUN_ID\n")
        outcome = run(hooks)
        assert outcome.ok
        assert outcome.seconds < 300
        wait_until(lambda: not carriers(outcome.messages), what="the end of the process left behind")

    @pytest.mark.fault("P5")
    def test_a_flood_is_cut_in_the_middle(self, hooks: Path) -> None:
        write(hooks / "h.sh", "echo begin\nhead -c 5000000 /dev/zero | tr '\\0' x\necho\necho end\n")
        outcome = run(hooks)
        assert outcome.ok
        assert outcome.messages.startswith("begin\nxxx")
        assert outcome.messages.endswith("x\nend")
        assert "left out" in outcome.messages
        assert len(outcome.messages) < 70_000

    def test_it_stops_when_told(self, hooks: Path) -> None:
        write(hooks / "h.sh", "sleep 600\n")
        outcome = HookRunner([hooks], cwd=hooks).run("h", should_stop=lambda: "asked to")
        assert (outcome.ok, outcome.ending) == (False, Ending.STOPPED)

    def test_a_signal_is_named(self, hooks: Path) -> None:
        write(hooks / "h.sh", "kill -9 $$\n")
        assert run(hooks).reason == "the hook h was ended by signal 9"


class TestRefusedNotRun:
    @pytest.mark.parametrize(
        ("name", "text", "mode", "fault"),
        [
            ("h", "#!/bin/sh\ntouch ran\n", 0o644, "is not executable"),
            ("h", "#!/nonexistent/interpreter\n", 0o755, "interpreter it names is missing"),
            ("h", "no shebang\n", 0o755, "not a program"),
            ("h.py", "open('ran', 'w')", 0o777, "can be written by everyone"),
            ("h.sh", "touch ran\n", 0o666, "can be written by everyone"),
        ],
    )
    def test_a_hook_that_cannot_or_must_not_run(
        self, name: str, text: str, mode: int, fault: str, hooks: Path
    ) -> None:
        write(hooks / name, text, mode)
        outcome = run(hooks)
        assert (outcome.ok, outcome.ending, outcome.returncode) == (False, REFUSED, None)
        assert fault in outcome.reason
        assert not (hooks / "ran").exists()

    def test_an_unsafe_hook_does_not_fall_through_to_the_next_directory(
        self, hooks: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        write(other / "h.py", "print('other')")
        write(hooks / "h.py", "print('unsafe')", 0o666)
        assert HookRunner([hooks, other]).run("h").ending == REFUSED

    def test_a_missing_working_directory_is_an_outcome_too(self, hooks: Path, tmp_path: Path) -> None:
        write(hooks / "h.py", "print('x')")
        outcome = run(hooks, cwd=tmp_path / "gone")
        assert outcome.ending == REFUSED
        assert "does not exist" in outcome.reason


class TestFinding:
    def test_the_shipped_hooks_are_found_and_safe(self) -> None:
        listed = HookRunner([shipped_hooks()]).list()
        assert [hook.name for hook in listed] == ["health_check", "post_task", "pre_task"]
        assert [hook.problem for hook in listed] == ["", "", ""]

    def test_the_list_shows_what_would_run_and_what_is_wrong(self, hooks: Path) -> None:
        write(hooks / "pre_task.sh", "exit 0\n")
        write(hooks / "own.py", "", 0o646)
        write(hooks / "not executable", "")
        write(hooks / "README.md", "")
        write(hooks / "_shared.py", "")
        (hooks / "__pycache__").mkdir()
        (hooks / "directory").mkdir()
        listed = {hook.name: hook for hook in HookRunner([hooks, shipped_hooks()]).list()}
        assert sorted(listed) == ["health_check", "own", "post_task", "pre_task"]
        assert listed["pre_task"].path == hooks / "pre_task.sh"
        assert "can be written by everyone" in listed["own"].problem

    def test_from_the_configuration(
        self, hooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADLESS_PM_HOOK_TIMEOUT", "7")
        repo = tmp_path / "repo"
        (repo / ".git").mkdir(parents=True)
        write(hooks / "h.py", "import json, os, sys; print(json.load(sys.stdin)['repo'], os.getcwd())")
        config = load_config(flags={"hooks_dir": str(hooks)}, repo=repo, start_dir=tmp_path)
        runner = HookRunner.from_config(config, api_url="http://127.0.0.1:1")
        assert runner.timeout == 7
        assert runner.run("h").messages == f"{repo} {repo}"
        assert runner.find("pre_task") == shipped_hooks() / "pre_task.py"

    def test_hooks_inside_the_repository_are_refused(self, tmp_path: Path) -> None:
        repo = tmp_path / "repo"
        (repo / ".git").mkdir(parents=True)
        (repo / "hooks").mkdir()
        write(repo / "hooks" / "pre_task.py", "open('ran', 'w')")
        config = load_config(flags={"hooks_dir": str(repo / "hooks")}, repo=repo, start_dir=tmp_path)
        outcome = HookRunner.from_config(config).run("pre_task")
        assert outcome.ending == REFUSED
        assert "where agents can change it" in outcome.reason

    def test_a_hooks_directory_that_does_not_exist_is_an_error(self, tmp_path: Path) -> None:
        config = load_config(flags={"hooks_dir": str(tmp_path / "gone")}, start_dir=tmp_path)
        with pytest.raises(Misconfigured, match="does not exist"):
            HookRunner.from_config(config)


def test_task_facts_have_the_names_of_the_guide_and_stay_small() -> None:
    facts = task_facts(
        {"id": 3, "title": "t\n" * 90_000, "description": "d" * 90_000, "difficulty": "senior"}, success=True
    )
    assert facts["task_id"] == 3
    assert facts["skill_level"] == "senior"
    assert facts["success"] is True
    assert len(json.dumps(facts)) < 5000


def test_the_shipped_files_are_executable_and_not_writable_by_others() -> None:
    for path in shipped_hooks().glob("*.py"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o100, path
        assert not mode & 0o002, path

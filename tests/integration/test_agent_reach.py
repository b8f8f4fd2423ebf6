"""Nothing that an agent says to its tools writes outside its place or runs what is not listed, in either form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_desk import WRITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.fixtures_desk import ClaudeDesk

MARK = "@"
"""In a command: a path outside the agent's place that must not exist afterwards."""

COMMANDS = (
    "git log -p --output=@",
    "git log -p --outp=@",
    "git log -p --output @",
    "git -C . log -p --output=@",
    "git --no-pager log -p --output=@",
    "git diff --no-index --output=@ hello.txt /dev/null",
    "git diff --output=@ HEAD",
    "git show --output=@ HEAD",
    "git status --short; git log -p --output=@",
    "cat hello.txt | git diff --no-index --output=@ - hello.txt",
    "git -c core.pager='touch @' -p log",
    "git -c core.fsmonitor='touch @' status",
    "git -c alias.x='!touch @' x",
    "git -c diff.external='touch @' diff --no-index hello.txt /dev/null",
    "GIT_EXTERNAL_DIFF='touch @' git diff --ext-diff --no-index hello.txt /dev/null",
    "GIT_PAGER='touch @' git -p log",
    "GIT_TRACE=@ git status",
    "GIT_TRACE2_EVENT=@ git log",
    "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0='touch @' git status",
    "git grep -O'touch @' -e .",
    "git config core.fsmonitor 'touch @' && git status",
    "git config --global alias.y '!touch @'; git y",
    "git commit --allow-empty -m x --template=@ && touch @",
    "git archive -o @ HEAD",
    "git bundle create @ HEAD",
    "git format-patch -o @ -1 HEAD",
    "git worktree add --detach @",
    "git clone . @",
    "git init @",
    "git fetch ext::'touch @'",
    "git rebase --exec 'touch @' HEAD~1",
    "git add hello.txt && touch @",
    "echo x > @",
    "echo x >> @ && git status",
    "cat hello.txt | tee @",
    "echo $(touch @)",
    "(touch @)",
    "ls\ntouch @",
    "cat <(touch @)",
    "echo @ | xargs touch",
    "find . -maxdepth 0 -exec touch @ ;",
    "find . -maxdepth 0 -fprint @",
    "sort -o @ hello.txt",
    "sed -n 'w @' hello.txt",
    "sed 's/h/touch @/e' hello.txt",
    "uniq hello.txt @",
    "cp hello.txt @",
    "ln -s hello.txt @",
    "bash -c 'touch @'",
    "env touch @",
    "command touch @",
    "rg --pre 'touch @' hello",
    "mkdir -p .claude/x && cp -r .claude @",
    "ln -s $(dirname @) way && touch way/$(basename @)",
    "echo x > out/linked",
)
"""What an agent may say to its shell. ``out`` is a link in the repository that leads to the marks' directory."""

MORE_COMMANDS = (
    "git log -p --out\\put=@",
    "g''it log -p --output=@",
    "\\git diff --output=@ HEAD",
    "/usr/bin/git log -p --output=@",
    "$(echo git) log -p --output=@",
    "G=git; $G log -p --output=@",
    "git shortlog --output=@ HEAD",
    "git stash show --output=@; git reflog --output=@",
    "git range-diff --output=@ HEAD HEAD HEAD",
    "git rev-list --objects HEAD | git pack-objects @",
    "git submodule foreach 'touch @'; git bisect run touch @",
    "time touch @",
    "timeout 5 touch @",
    "nohup nice touch @",
    "ls && : > @",
    "ls 2> @",
    "ls -la &> @",
    "cat hello.txt >| @",
    "ls # harmless\ntouch @",
    "grep -r hello . | awk '{ print > \"@\" }'",
    "xargs -I{} touch @ < hello.txt",
    "file -C -m hello.txt; tree -o @",
    "date > @; pwd > @",
)
"""The same by quoting, variables, wrappers, redirections and other programs' own options."""


def steps(marks: Any, commands: Sequence[str]) -> list[dict[str, Any]]:
    """Every spelling, each with a mark of its own, and the editing tools."""
    said = [
        {"bash": command.replace(MARK, f"{marks}/{number:02}")} for number, command in enumerate(commands)
    ]
    edit = {"file_path": f"{marks}/kept.txt", "old_string": "kept", "new_string": "edited"}
    return [
        WRITE,
        *said,
        {"write": {"path": f"{marks}/written", "content": "x"}},
        {"write": {"path": "out/through-link", "content": "x"}},
        {"tool": "Read", "input": {"file_path": edit["file_path"]}},
        {"tool": "Edit", "input": edit},
        {"tool": "NotebookEdit", "input": {"notebook_path": f"{marks}/n.ipynb", "new_source": "x"}},
    ]


SANDBOXED = pytest.mark.needs("bwrap")


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    ("settings", "commands"),
    [
        # In a sandbox each command costs a start of bubblewrap.
        pytest.param({}, COMMANDS[::5], id="as configured by default", marks=SANDBOXED),
        pytest.param({}, COMMANDS, id="default, all", marks=[SANDBOXED, pytest.mark.extended]),
        pytest.param({}, MORE_COMMANDS, id="default, disguised", marks=[SANDBOXED, pytest.mark.extended]),
        pytest.param({"sandbox": False}, COMMANDS, id="not sandboxed"),
        pytest.param(
            {"sandbox": False}, MORE_COMMANDS, id="not sandboxed, disguised", marks=pytest.mark.extended
        ),
    ],
)
def test_no_spelling_writes_or_runs_anything_outside(
    claude_desk: ClaudeDesk, settings: dict[str, Any], commands: Sequence[str]
) -> None:
    desk = claude_desk
    if settings:
        desk.change(claude=settings)
    marks = desk.directory / "marks"
    marks.mkdir()
    (marks / "kept.txt").write_text("kept")
    (desk.repo / "out").symlink_to(marks)
    desk.git("add", "-A")
    desk.git("commit", "-q", "-m", "a link that leads out")
    config = (desk.repo / ".git" / "config").read_bytes()
    hooks, main = sorted((desk.repo / ".git" / "hooks").glob("*")), desk.git("rev-parse", "main")
    desk.play(*steps(marks, commands))
    task = desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    written = sorted(path.name for path in marks.iterdir() if path.name != "kept.txt")
    reached = {name: commands[int(name)] if name.isdigit() else "" for name in written}
    changed = [
        what
        for what, same in (
            ("kept.txt", (marks / "kept.txt").read_text() == "kept"),
            ("config", (desk.repo / ".git" / "config").read_bytes() == config),
            ("hooks", sorted((desk.repo / ".git" / "hooks").glob("*")) == hooks),
            ("main", desk.git("rev-parse", "main") == main),
        )
        if not same
    ]
    assert (reached, changed) == ({}, [])


ITS_OWN_GIT = (
    {"bash": "mkdir -p fake/objects fake/refs"},
    {"write": {"path": "fake/HEAD", "content": "ref: refs/heads/main\n"}},
    {"write": {"path": "fake/config", "content": "[core]\n\tfsmonitor = touch MARK\n\tbare = false\n"}},
    {"bash": "cp -r fake nested.git; mv .git gone; mv fake .git; git status"},
    {"bash": "git --git-dir=nested.git --work-tree=. status"},
    {"bash": "GIT_DIR=nested.git git status"},
    {"bash": "sed -i s/fsmonitor/fsmonitor/ .git; rm -f .git; mkdir sub; cp -r nested.git sub/.git"},
    {"bash": "cd sub && git status"},
    {"bash": "git -C sub status"},
)


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    ("role", "settings"),
    [
        pytest.param("backend_dev", {}, id="backend_dev, default", marks=pytest.mark.needs("bwrap")),
        pytest.param("qa", {"sandbox": False}, id="qa, not sandboxed"),
        pytest.param("qa", {}, id="qa, default", marks=[pytest.mark.needs("bwrap"), pytest.mark.extended]),
        pytest.param(
            "backend_dev", {"sandbox": False}, id="backend_dev, not sandboxed", marks=pytest.mark.extended
        ),
    ],
)
def test_a_shared_ref_or_hook_is_not_the_agents_to_write(
    claude_desk: ClaudeDesk, settings: dict[str, Any], role: str
) -> None:
    """In the checkout itself git's files lie inside the agent's place."""
    desk = claude_desk
    desk.change(claude={"permission_mode": "acceptEdits", **settings})
    mark = desk.directory / "ran"
    hook = desk.repo / ".git" / "hooks" / "post-checkout"
    desk.play(
        WRITE,
        {"write": {"path": str(hook), "content": f"#!/bin/sh\ntouch {mark}\n"}},
        {"bash": f"echo 'touch {mark}' > {hook}"},
        {"bash": f"git log -p --output={hook}"},
        {"bash": f"cp hello.txt {hook}"},
        {"bash": "git log --format=%H -1 --output=.git/refs/heads/planted"},
        *({**step, **_marked(step, mark)} for step in ITS_OWN_GIT),
    )
    status = "dev_done" if role == "qa" else "created"
    desk.board.add_task(complexity="minor", status=status)
    done = desk.run(role=role)
    assert "Traceback" not in done.stderr
    assert desk.agents
    assert desk.git("status").startswith(("On branch", "HEAD detached"))
    found = [name for name in ("hook", "mark") if {"hook": hook, "mark": mark}[name].exists()]
    assert (found, "planted" in desk.git("for-each-ref")) == ([], False)


def _marked(step: dict[str, Any], mark: Any) -> dict[str, Any]:
    if "write" not in step:
        return {}
    return {"write": {**step["write"], "content": step["write"]["content"].replace("MARK", str(mark))}}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        pytest.param({}, "agent's shell: sandboxed, no network", marks=pytest.mark.needs("bwrap")),
        ({"sandbox": False}, "agent's shell: not sandboxed: claude.allow is empty"),
        (
            {"sandbox": False, "allow": ["python3"]},
            "agent's shell: not sandboxed: what claude.allow runs can do anything you can",
        ),
        (
            {"allow": ["python3"]},
            "agent's shell: not sandboxed: what claude.allow runs can do anything you can",
        ),
    ],
    ids=["default", "off", "off with allow", "written before"],
)
def test_run_and_health_say_first_what_the_shell_can_do(
    claude_desk: ClaudeDesk, settings: dict[str, Any], line: str
) -> None:
    desk = claude_desk
    if settings:
        desk.change(claude=settings)
    done = desk.run()
    assert done.returncode == 3
    said = [text for text in (done.stderr or done.stdout).splitlines() if text.strip()]
    assert line in said[0]
    health = desk.hpm("health")
    assert line.removeprefix("agent's shell: ") in health.stdout
    assert ("set claude.sandbox to" in health.stdout) == ("sandbox" not in settings and "allow" in settings)

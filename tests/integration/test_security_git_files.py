"""Git's other shared files, the main checkout's HEAD and all settings: what an agent changed is told with the way back."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from tests.support.repos import Repo

WRITE = {"write": ["work.txt", "work"]}
SECRET = "geheim-4711"


@pytest.fixture
def repo(repo: Repo) -> Repo:
    for name, value in (
        ("remote.origin.url", f"https://me:{SECRET}@example.invalid/shop.git"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.origin.fetch", "+refs/notes/*:refs/notes/*"),
        ("http.https://example.invalid.extraheader", f"Authorization: {SECRET}"),
        (f"http.https://me:{SECRET}@example.invalid.sslverify", "true"),
        ("branch.main.remote", "origin"),
    ):
        repo.git("config", "--add", name, value)
    repo.git("branch", "other")
    for name, text in (
        ("info/exclude", "*.log\n"),
        ("info/attributes", "*.bin binary\n"),
        ("hooks/mine", "#!/bin/sh\n"),
    ):
        (repo.root / ".git" / name).write_text(text, encoding="utf-8")
    return repo


def shell(*lines: str) -> dict[str, list[str]]:
    return {"run": ["sh", "-ec", "\n".join(["git_dir=$(git rev-parse --git-common-dir)", *lines])]}


def shared(desk: Desk) -> dict[str, Any]:
    """All that an agent shares with its repository, but for refs, and for what the runner's own worktrees need."""
    top = desk.repo / ".git"
    names = [
        path
        for path in [*top.glob("info/*"), *top.glob("hooks/*"), *top.glob("shallow")]
        if path.stat().st_size
    ]
    files = {str(path.relative_to(top)): path.read_text(encoding="utf-8") for path in names}
    files["info/exclude"] = files.get("info/exclude", "").replace("/.worktrees/\n", "")
    return {
        "HEAD": (top / "HEAD").read_text(encoding="utf-8"),
        "files": files,
        "settings": sorted(desk.git("config", "--local", "--list").splitlines()),
        "status": desk.git("status", "--porcelain", "--untracked-files=no"),
    }


def work(desk: Desk, *acts: dict[str, list[str]], complexity: str = "major") -> str:
    """What `hpm run` prints of one task that an agent works by ``acts``."""
    desk.board.add_task(description=script(*acts, WRITE), complexity=complexity)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def undo(desk: Desk, output: str) -> None:
    """Run, as printed, each command that the runner told."""
    found = re.findall(r"to (?:undo it|put them all back): (.*)$", output, re.MULTILINE)
    for command in dict.fromkeys(found):
        subprocess.run(["sh", "-c", command], cwd=desk.repo, check=True)


ACTS = {
    "remotes and http": [
        "git config --replace-all remote.origin.url http://evil.invalid/shop.git",
        "git config --add remote.origin.fetch '+refs/heads/evil:refs/heads/main'",
        "git remote add evil http://evil.invalid/",
        "git config http.proxy http://evil.invalid:1",
        "git config --unset http.https://example.invalid.extraheader",
    ],
    "other settings": [
        "git config branch.main.remote evil",
        "git config user.name Somebody",
        "git config --bool transfer.fsckObjects false",
        "git config 'url.http://evil.invalid/.insteadOf' https://example.invalid/",
        f"git config --remove-section http.https://me:{SECRET}@example.invalid",
        "printf '[gc]\\n\\tpruneExpire = now\\n[extra]\\n\\tflag\\n' >>$git_dir/config",
    ],
    "a hundred settings": ["for i in $(seq 100); do printf '[a%s]\\n\\tb = c\\n' $i >>$git_dir/config; done"],
    "files": [
        "echo '*.tmp' >$git_dir/info/exclude",
        "rm $git_dir/info/attributes",
        "git rev-parse HEAD >$git_dir/shallow",
        "printf '/*\\n!/src\\n' >$git_dir/info/sparse-checkout",
        "echo 'echo gotcha' >>$git_dir/hooks/mine",
    ],
    "HEAD": ["git --git-dir=$git_dir symbolic-ref HEAD refs/heads/other"],
    "HEAD by a checkout": ["git -C $git_dir/.. checkout -q other"],
    "HEAD detached": [
        "git --git-dir=$git_dir update-ref --no-deref HEAD $(git commit-tree -m mine 'HEAD^{tree}')"
    ],
}


RARE = ("a hundred settings", "HEAD by a checkout")


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "acts",
    [
        pytest.param(acts, id=name, marks=[pytest.mark.extended] if name in RARE else [])
        for name, acts in ACTS.items()
    ],
)
def test_what_an_agent_changed_is_told_and_put_back_as_told(acts: list[str], desk: Desk) -> None:
    before = shared(desk)
    told = work(desk, shell(*acts))
    assert shared(desk) != before
    assert SECRET not in told
    undo(desk, told)
    assert shared(desk) == before


@pytest.mark.fault("F2")
def test_no_ref_goes_unseen_where_there_are_thousands(desk: Desk) -> None:
    head = desk.git("rev-parse", "HEAD")
    rows = "".join(f"{head} refs/tags/t{number:04}\n" for number in range(3100))
    (desk.repo / ".git" / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted \n{rows}", encoding="ascii"
    )
    form = "--format=%(refname) %(objectname)"
    before = desk.git("for-each-ref", form, "refs/tags")
    told = work(desk, shell("git tag -d t3099 t0000", "git tag mine HEAD"))
    assert desk.git("for-each-ref", form, "refs/tags") != before
    undo(desk, told)
    left = list((desk.state / "before").glob("refs-*"))
    assert (desk.git("for-each-ref", form, "refs/tags") == before, left) == (True, [])


def test_no_alarm_for_what_people_and_runners_write_all_day(desk: Desk) -> None:
    """A new branch's settings, the order of the file, and the line that keeps worktrees out of git."""
    desk.git("update-ref", "refs/remotes/origin/main", "main")
    tidied = (
        "sort $git_dir/info/exclude -o $git_dir/info/exclude; printf '\\n# a comment\\n' >>$git_dir/config"
    )
    ours = "echo /.worktrees/ >>$git_dir/info/exclude"
    told = work(desk, shell("git branch -q --track new origin/main", tidied, ours), complexity="minor")
    assert "while the agent worked" not in told

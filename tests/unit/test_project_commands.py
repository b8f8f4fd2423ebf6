"""`hpm init` and `hpm trust` in real repositories."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import hpm_tools
from tests.support.frontends import BIN, call, hpm

CHECKOUT = Path(hpm_tools.__file__).resolve().parents[1]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", "-b", "main", str(directory)], check=True)
    return directory


def status(directory: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(directory), "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout


def test_init_makes_the_commands_work_as_tasks(shop: Path) -> None:
    done = hpm("init", cwd=shop)
    assert (done.returncode, done.stdout) == (0, f"{shop}/tasks.py\n{shop}/invoke.yaml\n")
    assert status(shop) == ""
    (shop / "sub").mkdir()
    listed = call([BIN / "invoke", "--list"], cwd=shop / "sub")
    assert " lock " in listed.stdout
    locks = call([BIN / "invoke", "locks", "--json", "locks", "--json"], cwd=shop / "sub")
    assert (locks.returncode, locks.stdout) == (0, '{"locks": []}\n{"locks": []}\n')
    usage = call([BIN / "invoke", "lock"], cwd=shop)
    assert usage.returncode == 2


def test_init_twice_changes_nothing(shop: Path) -> None:
    hpm("init", "--repo", str(shop))
    (shop / "invoke.yaml").write_text((shop / "invoke.yaml").read_text() + "  role: qa\n")
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}
    done = hpm("init", "--repo", str(shop), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["written"] == []
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before


def test_init_overwrites_nothing_and_says_what_is_missing(shop: Path) -> None:
    (shop / "tasks.py").write_text("ns = None\n")
    (shop / "invoke.yml").write_text("run: {echo: true}\n")
    done = hpm("init", cwd=shop)
    assert (done.returncode, done.stdout) == (73, "")
    assert "from hpm_tools.tasks import ns" in done.stderr
    assert (shop / "tasks.py").read_text() == "ns = None\n"
    assert not (shop / "invoke.yaml").exists()


def test_init_writes_what_it_can(shop: Path) -> None:
    (shop / "tasks.py").write_text("ns = None\n")
    done = hpm("init", "--json", cwd=shop)
    assert done.returncode == 73
    assert json.loads(done.stderr.splitlines()[-1])["error"]["details"] == {"written": ["invoke.yaml"]}
    assert (shop / "invoke.yaml").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "tasks.py",
            '"""hpm-tools\' commands: invoke --list"""\nfrom hpm_tools.tasks import ns  # noqa: F401\n',
        ),
        ("tasks.py", "from hpm_tools.tasks import lock, run\n"),
        ("tasks/__init__.py", "from hpm_tools.tasks import ns\n"),
    ],
    ids=["what init once wrote", "single tasks", "package"],
)
def test_init_leaves_a_file_with_our_tasks_as_it_is(shop: Path, name: str, text: str) -> None:
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text(text)
    (shop / "invoke.yaml").write_text("run: {echo: true}\n")
    done = hpm("init", "--json", cwd=shop)
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, [])
    assert " lock " in call([BIN / "invoke", "--list"], cwd=shop).stdout


def test_init_goes_to_the_main_worktree(shop: Path, tmp_path: Path) -> None:
    git = ["git", "-C", str(shop), "-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "linked")], check=True)
    assert hpm("init", cwd=tmp_path / "linked").returncode == 0
    assert (shop / "tasks.py").exists()
    assert list((tmp_path / "linked").iterdir()) == [tmp_path / "linked" / ".git"]


@pytest.mark.parametrize("name", ["init", "trust"])
def test_they_need_a_repository_that_is_not_our_own(name: str, tmp_path: Path) -> None:
    done = hpm(name, cwd=tmp_path)
    assert done.returncode == 78
    assert "no git repository" in done.stderr
    if (CHECKOUT / ".git").exists():
        done = hpm(name, cwd=CHECKOUT)
        assert done.returncode == 78
        assert "own checkout" in done.stderr


def test_trust_shows_and_approves_until_the_file_changes(shop: Path) -> None:
    done = hpm("trust", "--repo", str(shop))
    assert done.returncode == 65
    assert "hpm init" in done.stderr
    (shop / "invoke.yaml").write_text("hpm: [\n")
    assert "not valid YAML" in hpm("trust", "--repo", str(shop)).stderr
    (shop / "invoke.yaml").write_text("hpm: {claude: {allow: ['Bash(make:*)']}} # \u202e\n")
    done = hpm("trust", "--repo", str(shop), "--json")
    assert "Bash(make:*)" in done.stderr
    assert "\u202e" not in done.stderr
    answer = json.loads(done.stdout)
    assert (answer["trusted"], answer["changed"]) == (True, True)
    again = json.loads(hpm("trust", "--repo", str(shop), "--json").stdout)
    assert (again["changed"], again["sha256"]) == (False, answer["sha256"])
    assert settings(shop) == ["Bash(make:*)"]
    (shop / "invoke.yaml").write_text("hpm: {claude: {allow: ['Bash']}}\n")
    changed = call([BIN / "python", "-c", SETTINGS], cwd=shop)
    assert "changed since it was trusted" in changed.stderr
    assert json.loads(hpm("trust", "--revoke", "--json", cwd=shop).stdout)["changed"]
    assert not json.loads(hpm("trust", "--revoke", "--json", cwd=shop).stdout)["changed"]
    assert settings(shop) == []


SETTINGS = (
    "import json; from hpm_tools.config import load_config; print(json.dumps(load_config().claude.allow))"
)


def settings(directory: Path) -> list[str]:
    done = call([BIN / "python", "-c", SETTINGS], cwd=directory)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found

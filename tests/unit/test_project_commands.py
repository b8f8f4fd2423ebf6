"""`hpm init` and `hpm trust` in real repositories."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import hpm_tools
from tests.support.frontends import BIN, call, hpm
from tests.support.installed_invoke import invoke_without_hpm_tools

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


THEIRS = "from invoke import task\n\n@task\ndef mine(c):\n    print('mine')\n"


@pytest.mark.parametrize("name", ["tasks.py", "tasks/__init__.py"])
def test_init_leaves_a_repository_with_tasks_of_its_own_as_it_is(
    shop: Path, tmp_path: Path, name: str
) -> None:
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text(THEIRS)
    before = sorted(shop.iterdir())
    done = hpm("init", cwd=shop)
    assert (done.returncode, done.stdout) == (73, "")
    assert f"{name} offers none of our tasks" in done.stderr
    assert "from hpm_tools.tasks import run, lock" in done.stderr
    assert (shop / name).read_text() == THEIRS
    assert sorted(shop.iterdir()) == before
    mine = call([invoke_without_hpm_tools(tmp_path / "other"), "mine"], cwd=shop)
    assert (mine.returncode, mine.stdout, mine.stderr) == (0, "mine\n", "")


def test_init_writes_settings_only_beside_tasks_that_do_without_hpm_tools(shop: Path, tmp_path: Path) -> None:
    optional = "try:\n    from hpm_tools.tasks import locks\nexcept ImportError:\n    pass\n"
    (shop / "tasks.py").write_text(THEIRS + optional)
    done = hpm("init", "--json", cwd=shop)
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, ["invoke.yaml"])
    mine = call([invoke_without_hpm_tools(tmp_path / "other"), "mine"], cwd=shop)
    assert (mine.returncode, mine.stdout, mine.stderr) == (0, "mine\n", "")
    both = call([BIN / "invoke", "mine", "locks", "locks"], cwd=shop)
    assert (both.returncode, both.stdout.splitlines()[0]) == (0, "mine")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "tasks.py",
            '"""hpm-tools\' commands: invoke --list"""\nfrom hpm_tools.tasks import ns  # noqa: F401\n',
        ),
        ("tasks.py", "from hpm_tools.tasks import lock, run\n"),
        ("tasks/__init__.py", "from hpm_tools.tasks import ns\n"),
        ("tasks.py", "from hpm_tools import __version__, tasks\nns = tasks.ns\n"),
        ("tasks.py", "from hpm_tools import (\n    tasks as hpm,\n)\nns = hpm.ns\n"),
    ],
    ids=["what init once wrote", "single tasks", "package", "the module", "the module in parentheses"],
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


@pytest.mark.parametrize("name", ["init", "trust"])
def test_a_deleted_directory_is_no_fault_of_ours(name: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = call(["sh", "-c", f'rmdir "$PWD"; exec "{BIN}/hpm" {name}'], cwd=gone)
    assert (done.returncode, done.stdout) == (78, "")
    assert "the current directory no longer exists" in done.stderr


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

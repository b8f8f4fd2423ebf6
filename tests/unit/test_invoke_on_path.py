"""`hpm init` says which `invoke` works in the repository, and its tasks.py what is wrong with one that does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hpm_tools
from hpm_tools.commands import invoke_on_path
from hpm_tools.commands.invoke_on_path import NotPython, interpreter
from tests.support.frontends import BIN, call, hpm
from tests.support.installed_invoke import invoke_without_hpm_tools, script

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., None]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", "-b", "main", str(directory)], check=True)
    return directory


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Make PATH of these directories and one that has git alone."""
    script(tmp_path / "tools" / "git", "/bin/sh", f'exec {shutil.which("git")} "$@"')

    def path_of(*directories: Path) -> None:
        monkeypatch.setenv("PATH", ":".join(map(str, [*directories, tmp_path / "tools"])))

    return path_of


def init(shop: Path) -> tuple[list[dict[str, object]], str]:
    """What init found on PATH, and what it said."""
    done = hpm("init", "--json", cwd=shop)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["invoke"], done.stderr


def test_init_names_the_invoke_that_works(shop: Path, tmp_path: Path, look: Look) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "invoke").symlink_to(BIN / "invoke")
    look(tmp_path / "links", BIN)
    found, said = init(shop)
    path = str(tmp_path / "links" / "invoke")
    assert found == [{"path": path, "works": True, "version": hpm_tools.__version__, "why": ""}]
    assert f"`invoke` runs our tasks here, by {path}\n" in said


def test_init_says_why_the_first_invoke_does_not_work_and_which_does(
    shop: Path, tmp_path: Path, look: Look
) -> None:
    other = invoke_without_hpm_tools(tmp_path / "other")
    look(other.parent, BIN)
    found, said = init(shop)
    assert [(program["path"], program["works"]) for program in found] == [
        (str(other), False),
        (str(BIN / "invoke"), True),
    ]
    why = f"its Python, {other.parent}/python, has no hpm_tools"
    assert found[0]["why"] == why
    assert f"warning: `invoke` does not run our tasks here. PATH has {other}, and {why}\n" in said
    assert f"  {BIN}/invoke does: " in said


def test_init_says_where_invoke_is_if_path_has_none(shop: Path, look: Look) -> None:
    look()
    found, said = init(shop)
    assert found == []
    assert "PATH has none" in said
    assert f"  {BIN}/invoke does: " in said


@pytest.mark.parametrize("first", ["ours", "another", "none"])
def test_init_says_which_invoke_would_work_before_it_fails(
    shop: Path, tmp_path: Path, look: Look, first: str
) -> None:
    other = invoke_without_hpm_tools(tmp_path / "other") if first == "another" else tmp_path / "none"
    look(*{"ours": [BIN], "another": [other.parent], "none": []}[first])
    (shop / "tasks.py").touch()
    done = hpm("init", "--json", cwd=shop)
    *said, error = done.stderr.splitlines()
    assert done.returncode == 73
    assert said[0].startswith({
        "ours": f"`invoke` would run our tasks here, by {BIN}/invoke",
        "another": f"warning: `invoke` would not run our tasks here. PATH has {other}, and its Python, ",
        "none": "warning: `invoke` would not run our tasks here: PATH has none",
    }[first])  # fmt: skip
    assert first == "ours" or said[1].startswith(f"  {BIN}/invoke would: ")
    found = json.loads(error)["error"]["details"]["invoke"]
    assert [program["works"] for program in found] == {"ours": [True], "another": [False], "none": []}[first]


def test_init_asks_the_python_of_another_installation(shop: Path, tmp_path: Path, look: Look) -> None:
    """Its answer counts, and a version that is not ours is named."""
    invoke = invoke_without_hpm_tools(tmp_path / "other")
    give_hpm_tools(packages_of(invoke), "0.0.7")
    look(invoke.parent)
    found, said = init(shop)
    assert (found[0]["works"], found[0]["version"]) == (True, "0.0.7")
    assert f"(hpm-tools 0.0.7, this is {hpm_tools.__version__})" in said


def packages_of(invoke: Path) -> Path:
    (found,) = (invoke.parent.parent / "lib").glob("python*/site-packages")
    return found


def give_hpm_tools(directory: Path, version: str) -> None:
    """What Python imports as hpm_tools, and what it must not import to find that out."""
    (directory / "hpm_tools").mkdir(parents=True)
    (directory / "hpm_tools" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (directory / "hpm_tools" / "tasks.py").touch()


@pytest.mark.parametrize(
    ("planted", "works"),
    [("sitecustomize.py", False), ("sitecustomize.py", True), ("hpm_tools/__init__.py", None)],
    ids=["sitecustomize", "sitecustomize beside an editable hpm-tools", "hpm_tools"],
)
def test_init_executes_nothing_of_a_repository_that_is_installed_as_editable(
    shop: Path, tmp_path: Path, look: Look, planted: str, works: bool | None
) -> None:
    """`pip install -e shop` leaves a .pth file, by which every start of that Python may execute the repository."""
    started = tmp_path / "started"
    invoke = invoke_without_hpm_tools(tmp_path / "other")
    (packages_of(invoke) / "__editable__.shop.pth").write_text(f"{shop}\n")
    (packages_of(invoke) / "code.pth").write_text(f"import pathlib; pathlib.Path({str(started)!r}).touch()\n")
    (shop / planted).parent.mkdir(exist_ok=True)
    (shop / planted).write_text(f"open({str(started)!r}, 'w')\n__version__ = '6.6.6'\n")
    if works:
        give_hpm_tools(tmp_path / "src", "0.0.8")
        (packages_of(invoke) / "_editable_hpm_tools.pth").write_text(f"# ours\n{tmp_path / 'src'}\n")
    look(invoke.parent)
    found, _ = init(shop)
    assert not started.exists()
    assert (found[0]["works"], found[0]["version"]) == (works, "0.0.8" if works else "")
    if works is None:
        assert f"belongs to {shop}, of which nothing is executed" in str(found[0]["why"])
    # That Python does execute it when it is started as usual.
    subprocess.run([invoke.parent / "python", "-c", "import hpm_tools" if works is None else ""], check=True)
    assert started.exists()


def test_init_starts_no_script_that_a_first_line_names(shop: Path, tmp_path: Path, look: Look) -> None:
    started = tmp_path / "started"
    (shop / "run.py").write_text(f"open({str(started)!r}, 'w')\n")
    program = script(tmp_path / "bin" / "invoke", f"/usr/bin/env -S {sys.executable} {shop}/run.py")
    look(program.parent)
    found, _ = init(shop)
    assert not started.exists()
    assert found[0]["works"] is None
    assert str(found[0]["why"]).endswith(f"more than options: {shop}/run.py")


def test_a_virtual_environment_may_see_the_packages_of_its_python(
    shop: Path, tmp_path: Path, look: Look
) -> None:
    """pyvenv.cfg says so; the packages of the user are among them."""
    invoke = invoke_without_hpm_tools(tmp_path / "other")
    look(invoke.parent)
    asked = [str(invoke.parent / "python"), "-S", "-c", "import site; print(site.getusersitepackages())"]
    users = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    give_hpm_tools(Path(users), "0.0.9")
    assert init(shop)[0][0]["works"] is False
    config = tmp_path / "other" / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))
    assert init(shop)[0][0]["version"] == "0.0.9"


@pytest.mark.parametrize("which", ["the script", "its Python", "where a link leads"])
def test_init_starts_nothing_that_belongs_to_the_repository(
    shop: Path, tmp_path: Path, look: Look, which: str
) -> None:
    started = tmp_path / "started"
    within = script(shop / ".venv" / "bin" / "python", "/bin/sh", f": >{started}")
    python = within if which == "its Python" else script(tmp_path / "python", "/bin/sh", f": >{started}")
    place = tmp_path / "bin" if which == "its Python" else shop / ".venv" / "bin"
    program = script(place / "invoke", python)
    if which == "where a link leads":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "invoke").symlink_to(program)
        program = tmp_path / "bin" / "invoke"
    look(program.parent)
    found, said = init(shop)
    assert not started.exists()
    assert found[0]["works"] is None
    assert f"it belongs to {shop}" in str(found[0]["why"])
    assert "`invoke` may not run our tasks here" in said
    # The same Python is started where the repository has nothing to do with it.
    elsewhere = script(
        tmp_path / "elsewhere" / "invoke", script(tmp_path / "python", "/bin/sh", f": >{started}")
    )
    look(elsewhere.parent)
    found, _ = init(shop)
    assert started.exists()
    assert found[0]["works"] is None
    assert "has its packages is not known: it ended with 0" in str(found[0]["why"])


def test_init_starts_nothing_that_belongs_to_a_worktree_elsewhere(
    shop: Path, tmp_path: Path, look: Look
) -> None:
    started = tmp_path / "started"
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(shop)]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "linked")], check=True)
    within = script(tmp_path / "linked" / "bin" / "python3", "/bin/sh", f": >{started}")
    look(script(tmp_path / "bin" / "invoke", within).parent)
    found, _ = init(shop)
    assert not started.exists()
    assert found[0]["works"] is None
    assert f"it belongs to {shop}" in str(found[0]["why"])


def test_a_python_that_does_not_answer_is_not_waited_for(
    shop: Path, tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = script(tmp_path / "python3", "/bin/sh", f"exec {shutil.which('sleep')} 600")
    look(script(tmp_path / "bin" / "invoke", hanging).parent)
    monkeypatch.setattr(invoke_on_path, "SECONDS", 0.5)
    (found,) = invoke_on_path.programs([str(shop)])
    assert found["works"] is None
    assert "did not end within" in found["why"]


@pytest.mark.parametrize(
    ("start", "argv"),
    [
        ("#!/usr/bin/python3\nimport re", ["/usr/bin/python3"]),
        ("#!/x/bin/python -E\n", ["/x/bin/python", "-E"]),
        ("#! /usr/local/bin/python3.12\n", ["/usr/local/bin/python3.12"]),
        ("#!/usr/bin/env no-such-python\n", None),
        ("#!/usr/bin/env -S python9 -I\n", None),
        ('#!/usr/bin/env -S python3 "unclosed\n', None),
        ("#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n", ["/a b/bin/python"]),
        ("#!/bin/sh\n'''exec' '/a b/bin/python' \"$0\" \"$@\"\n' '''\n", ["/a b/bin/python"]),
        ("#!/bin/sh\n'''exec' /long/bin/python3 \"$0\" \"$@\"\n' '''\n", ["/long/bin/python3"]),
        ("#!/usr/bin/env -S python9 run.py\n", None),
        ("#!/x/bin/python -m invoke\n", None),
        ("#!/usr/bin/env bash\nexec pyenv exec invoke\n", None),
        ("#!/bin/sh\nexec python3 -m invoke\n", None),
        ("\x7fELF", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_python_of_a_script_is_what_its_first_line_says(
    tmp_path: Path, start: str, argv: list[str] | None
) -> None:
    (tmp_path / "invoke").write_text(start)
    if argv is None:
        with pytest.raises(NotPython):
            interpreter(str(tmp_path / "invoke"))
    else:
        assert interpreter(str(tmp_path / "invoke")) == argv


def test_env_finds_the_python_on_path(tmp_path: Path) -> None:
    for start, options in (("#!/usr/bin/env python3\n", []), ("#!/usr/bin/env -S python3 -I\n", ["-I"])):
        (tmp_path / "invoke").write_text(start)
        assert interpreter(str(tmp_path / "invoke")) == [shutil.which("python3"), *options]


def test_without_hpm_tools_the_tasks_file_says_so_in_one_line(shop: Path, tmp_path: Path) -> None:
    other = invoke_without_hpm_tools(tmp_path / "other")
    hpm("init", cwd=shop)
    python = other.parent / "python"
    for words in (["--list"], ["run", "--role", "backend_dev"], ["--complete", "--", "invoke", "ru"]):
        done = call([other, *words], cwd=shop)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr == (
            f"error: the Python of this invoke, {python}, cannot import hpm_tools: No module named 'hpm_tools'; "
            "`hpm init` says which invoke works here\n"
        )


def test_the_invoke_beside_this_python_is_known() -> None:
    assert invoke_on_path.own_invoke() == f"{BIN}/invoke"
    assert interpreter(f"{BIN}/invoke")[0].startswith(f"{sys.prefix}/bin/python")

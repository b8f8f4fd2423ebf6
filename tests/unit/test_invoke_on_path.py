"""`hpm init` says which `invoke` works in the repository, and its tasks.py what is wrong with one that does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import hpm_tools
from hpm_tools.commands import invoke_on_path
from hpm_tools.commands.invoke_on_path import NotPython, interpreter
from tests.support.frontends import BIN, call, hpm
from tests.support.installed_invoke import invoke_without_hpm_tools, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    assert f"`invoke run …` works here, by {path}\n" in said


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
    why = f"its Python, {other.parent}/python, cannot import hpm_tools: No module named 'hpm_tools'"
    assert found[0]["why"] == why
    assert f"warning: `invoke` does not work here. PATH has {other}, and {why}\n" in said
    assert f"  {BIN}/invoke does: " in said


def test_init_says_where_invoke_is_if_path_has_none(shop: Path, look: Look) -> None:
    look()
    found, said = init(shop)
    assert found == []
    assert "PATH has none" in said
    assert f"  {BIN}/invoke does: " in said


def test_init_asks_the_python_of_another_installation(shop: Path, tmp_path: Path, look: Look) -> None:
    """Its answer counts, and a version that is not ours is named."""
    other = tmp_path / "other"
    invoke = invoke_without_hpm_tools(other)
    (packages,) = (other / "lib").glob("python*/site-packages")
    (packages / "hpm_tools").mkdir()
    (packages / "hpm_tools" / "__init__.py").write_text('__version__ = "0.0.7"\n')
    (packages / "hpm_tools" / "tasks.py").touch()
    look(invoke.parent)
    found, said = init(shop)
    assert (found[0]["works"], found[0]["version"]) == (True, "0.0.7")
    assert f"(hpm-tools 0.0.7, this is {hpm_tools.__version__})" in said


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
    assert "`invoke` may not work here" in said
    # The same Python is started where the repository has nothing to do with it.
    elsewhere = script(
        tmp_path / "elsewhere" / "invoke", script(tmp_path / "python", "/bin/sh", f": >{started}")
    )
    look(elsewhere.parent)
    found, _ = init(shop)
    assert started.exists()
    assert found[0]["works"] is False


def test_a_python_that_does_not_answer_is_not_waited_for(
    shop: Path, tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = script(tmp_path / "python3", "/bin/sh", f"exec {shutil.which('sleep')} 600")
    look(script(tmp_path / "bin" / "invoke", hanging).parent)
    monkeypatch.setattr(invoke_on_path, "SECONDS", 0.5)
    (found,) = invoke_on_path.programs(str(shop))
    assert found["works"] is None
    assert "did not end within" in found["why"]


@pytest.mark.parametrize(
    ("start", "argv"),
    [
        ("#!/usr/bin/python3\nimport re", ["/usr/bin/python3"]),
        ("#!/x/bin/python -E\n", ["/x/bin/python", "-E"]),
        ("#! /usr/local/bin/python3.12\n", ["/usr/local/bin/python3.12"]),
        ("#!/usr/bin/env no-such-python\n", None),
        ("#!/usr/bin/env -S python9 -I\n", ["python9", "-I"]),
        ("#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n", ["/a b/bin/python"]),
        ("#!/bin/sh\n'''exec' /long/bin/python3 \"$0\" \"$@\"\n' '''\n", ["/long/bin/python3"]),
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
    (tmp_path / "invoke").write_text("#!/usr/bin/env python3\n")
    assert interpreter(str(tmp_path / "invoke")) == [shutil.which("python3")]


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

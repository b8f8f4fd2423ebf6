"""What docs/security.md advises does what it says: the image's files suffice, and a list of hooks shows every change."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk


def test_the_containers_files_are_enough_to_install_and_start_hpm(tmp_path: Path) -> None:
    """Without a container engine: its COPY lines are done by hand, and the wheel built as pip does."""
    place = tmp_path / "hpm-tools"
    place.mkdir()
    text = (PROJECT / "examples" / "Containerfile").read_text(encoding="utf-8")
    copies = re.findall(r"^COPY (.+) (/\S+)$", text, re.MULTILINE)
    assert copies
    for sources, to in copies:
        for source in map(PROJECT.joinpath, sources.split()):
            if source.is_dir():
                shutil.copytree(source, tmp_path / to.removeprefix("/opt/"), dirs_exist_ok=True)
            else:
                shutil.copy(source, tmp_path / to.removeprefix("/opt/"))
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=place, check=True)
    [wheel] = (place / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "hpm_tools.cli.hpm", "hooks.list", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [hook["path"] for hook in json.loads(listed.stdout)["hooks"]]
    assert [path for path in paths if not path.startswith(str(tmp_path / "site"))] == []
    assert len(paths) == 3


@pytest.fixture
def hooks(desk: Desk, tmp_path: Path) -> Path:
    directory = tmp_path / "hooks"
    directory.mkdir(mode=0o700)
    (directory / "pre_task.sh").write_text("exit 0\n", encoding="utf-8")
    desk.change(hooks_dir=str(directory))
    return directory


def test_a_changed_a_new_and_an_unsafe_hook_show_in_the_list_of_sums(desk: Desk, hooks: Path) -> None:
    seen = desk.hpm("hooks.list", "--sha256").stdout
    assert desk.hpm("hooks.list", "--sha256").stdout == seen
    (hooks / "pre_task.sh").write_text("exit 1\n", encoding="utf-8")
    (hooks / "own.sh").write_text("exit 0\n", encoding="utf-8")
    (hooks / "own.sh").chmod(0o666)
    now = desk.hpm("hooks.list", "--sha256").stdout
    before = list(map(str.split, seen.splitlines()))
    changed = [line[:2] for line in map(str.split, now.splitlines()) if line not in before]
    assert changed == [["own", "refused"], ["pre_task", "ok"]]


def test_the_sums_are_in_the_json_and_null_unless_asked_for(desk: Desk, hooks: Path) -> None:
    def sums(*more: str) -> dict[str, str | None]:
        found = json.loads(desk.hpm("hooks.list", "--json", *more).stdout)["hooks"]
        return {hook["name"]: hook["sha256"] for hook in found}

    expected = hashlib.sha256((hooks / "pre_task.sh").read_bytes()).hexdigest()
    assert sums("--sha256")["pre_task"] == expected
    assert set(sums().values()) == {None}


def test_a_named_pipe_among_the_hooks_is_not_waited_for(desk: Desk, hooks: Path) -> None:
    os.mkfifo(hooks / "own.sh")
    listed = desk.hpm("hooks.list", "--sha256", "--json")
    [own] = [hook for hook in json.loads(listed.stdout)["hooks"] if hook["name"] == "own"]
    assert (own["sha256"], bool(own["problem"])) == (None, True)

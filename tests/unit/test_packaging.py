"""What is given to others: the source archive and the licence in it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib

import pytest

import hpm_tools
from tests.support.frontends import PROJECT
from tests.support.project_files import HISTORY, project_files, tracked_files

MADE_BY_THE_BUILD = {"PKG-INFO"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tarfile.TarInfo]:
    """The members of the source archive, built as an installer builds it, by their names in the project."""
    to = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(to)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (file,) = to.iterdir()
    assert file.name == f"hpm_tools-{hpm_tools.__version__}.tar.gz"
    with tarfile.open(file) as tar:
        return {member.name.partition("/")[2]: member for member in tar if member.isfile() or member.issym()}


def test_source_archive_holds_every_file_of_the_project(archive: dict[str, tarfile.TarInfo]) -> None:
    """Without exception: `./inv test` of the archive checks documents, CI's script and the lint's settings too."""
    tracked = tracked_files() if HISTORY.exists() else project_files()
    assert set(tracked) - archive.keys() == set()
    assert archive.keys() - set(project_files()) <= MADE_BY_THE_BUILD


def test_source_archive_keeps_programs_executable(archive: dict[str, tarfile.TarInfo]) -> None:
    programs = {
        name for name in archive.keys() - MADE_BY_THE_BUILD if (PROJECT / name).stat().st_mode & 0o100
    }
    assert {"inv", "bin/hpm", ".ci/run"} <= programs
    assert {name for name, member in archive.items() if member.mode & 0o100} == programs


def test_license_is_declared_and_travels_with_every_distribution(archive: dict[str, tarfile.TarInfo]) -> None:
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert "LICENSE" in archive
    assert _read("LICENSE").startswith("MIT License\n\nCopyright (c) 2026 hpm-tools contributors\n")


def test_changelog_has_an_entry_for_this_version() -> None:
    assert f"## [{hpm_tools.__version__}]" in _read("CHANGELOG.md")


def _read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")

"""Whatever an agent leaves behind is walked through and deleted, and nothing beside it."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.executor.scratch import remove_scratch, scratch_directory
from hpm_tools.trees import delete_tree, walk
from tests.support.deep_trees import BEYOND_PATHS, BEYOND_RECURSION, cleared, grow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    with cleared(tmp_path / "top") as path:
        path.mkdir()
        yield path


@pytest.mark.parametrize("depth", [BEYOND_RECURSION, BEYOND_PATHS])
def test_a_tree_of_any_depth_is_deleted(top: Path, depth: int) -> None:
    grow(top, depth)
    grow(top, depth, "e")
    delete_tree(top)
    assert not top.exists()


def test_a_tree_deeper_than_recursion_is_walked_through(top: Path) -> None:
    grow(top, BEYOND_RECURSION)
    seen = list(walk(top))
    assert len(seen) == BEYOND_RECURSION + 1
    assert seen[-1][1:] == ([], ["last.txt"])


def test_where_a_path_is_too_long_the_walk_says_so(top: Path) -> None:
    grow(top, BEYOND_PATHS)
    errors: list[OSError] = []
    seen = list(walk(top, errors.append))
    assert [error.errno for error in errors] == [errno.ENAMETOOLONG]
    assert len(seen) < BEYOND_PATHS


def test_directories_taken_out_are_not_looked_into(top: Path) -> None:
    for path in ("a/b", "node_modules/c", "link"):
        (top / path).parent.mkdir(exist_ok=True)
    (top / "a/b").mkdir()
    (top / "link").symlink_to(top / "a")
    seen = []
    for here, directories, others in walk(top):
        if "node_modules" in directories:
            directories.remove("node_modules")
        seen.append((os.path.relpath(here, top), sorted(directories), others))
    assert sorted(seen) == [(".", ["a"], ["link"]), ("a", ["b"], []), ("a/b", [], [])]


def test_what_is_not_there_is_deleted_already(tmp_path: Path) -> None:
    delete_tree(tmp_path / "nothing")


def test_no_link_is_followed(tmp_path: Path, top: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (top / "in").mkdir()
    for place in (top, top / "in"):
        (place / "link").symlink_to(outside)
    os.mkfifo(top / "fifo")
    delete_tree(top)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    link = tmp_path / "link"
    link.symlink_to(outside)
    with pytest.raises(OSError, match="link"):
        delete_tree(link)
    assert outside.is_dir()


shapes = st.recursive(
    st.sampled_from(["file", "link", "fifo"]),
    lambda inner: st.tuples(st.sampled_from([0o700, 0o500, 0o000]), st.lists(inner, max_size=4)),
    max_leaves=20,
)


def build(path: Path, shape: object) -> None:
    if isinstance(shape, tuple):
        mode, inner = shape
        path.mkdir()
        for number, below in enumerate(inner):
            build(path / str(number), below)
        path.chmod(mode)
    elif shape == "link":
        path.symlink_to("..")
    elif shape == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("x", encoding="utf-8")


@pytest.mark.fault("odd-trees")
@given(st.lists(shapes, max_size=4))
def test_any_tree_is_deleted(tmp_path: Path, shape: list[object]) -> None:
    build(tmp_path / "tree", (0o700, shape))
    delete_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


@pytest.mark.fault("odd-trees")
def test_a_runs_temporary_directory_goes_however_deep_it_is(tmp_path: Path) -> None:
    environ = {"TMPDIR": str(tmp_path)}
    with scratch_directory("run", environ) as path, cleared(path) as scratch:
        grow(scratch, BEYOND_RECURSION)
        (scratch / "locked").mkdir(mode=0o500)
        remove_scratch("run", environ)
        assert not scratch.exists()

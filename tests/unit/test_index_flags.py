"""Whether an index may hold flags by which git overlooks files is read from the file itself, as git writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.index_entries import may_be_flagged

if TYPE_CHECKING:
    from tests.support.repos import Repo

NAMES = [f"{'d/' * (length % 3)}{'n' * length}" for length in range(1, 20)]


@pytest.mark.parametrize(
    "flag",
    [
        (),
        ("--assume-unchanged", NAMES[4]),
        ("--skip-worktree", NAMES[-1]),
    ],
)
@pytest.mark.parametrize("form", [(), ("--index-version", "4"), ("--split-index",), ("--untracked-cache",)])
def test_a_flag_is_seen_in_every_form_of_index(
    repo: Repo, form: tuple[str, ...], flag: tuple[str, ...]
) -> None:
    repo.commit(dict.fromkeys(NAMES, "x"))
    if form:
        repo.git("update-index", *form)
    if flag:
        repo.git("update-index", *flag)
    usual = form in ((), ("--untracked-cache",))
    assert may_be_flagged(repo.root / ".git" / "index") is (bool(flag) or not usual)


def test_an_index_that_is_damaged_or_not_there_is_gits_to_read(repo: Repo) -> None:
    index = repo.root / ".git" / "index"
    content = index.read_bytes()
    for damaged in (content[:-1], content[:100], b"", content[:12] + content[20:], content + b"\0" * 9):
        index.write_bytes(damaged)
        assert may_be_flagged(index), damaged
    index.unlink()
    assert may_be_flagged(index)

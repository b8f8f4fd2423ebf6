"""Whatever is wrong with an index, git's complaint is known for one, and the way out is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.git import Git, GitError, GitResult, failure
from hpm_tools.worktree.status import BrokenIndex, take_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.repos import Repo


def with_extension(content: bytes) -> bytes:
    """As a newer git writes it: an extension in lower case has to be understood."""
    return content[:-20] + b"zzzz" + bytes(4) + bytes(20)


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "signature": lambda content: b"LIST" + content[4:],
    "version": lambda content: content[:4] + (9).to_bytes(4, "big") + content[8:],
    "short": lambda content: content[:20],
    "entry count": lambda content: content[:8] + (99).to_bytes(4, "big") + content[12:],
    "extension": with_extension,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_index_is_told_with_the_command_that_makes_it_anew(repo: Repo, way: str) -> None:
    index = repo.root / ".git" / "index"
    index.write_bytes(WAYS[way](index.read_bytes()))
    with pytest.raises(BrokenIndex) as broken:
        take_status(Git(repo.root))
    assert "reset -q" in broken.value.hint
    with pytest.raises(GitError) as told:
        Git(repo.root).run("diff", "--cached", "--quiet")
    assert "git's index is damaged" in told.value.hint


def test_an_index_that_cannot_be_written_is_not_called_damaged() -> None:
    complaint = b"fatal: unable to write new index file: No space left on device\n"
    assert failure(("add", "."), GitResult(128, b"", complaint)).hint == "free some disk space"

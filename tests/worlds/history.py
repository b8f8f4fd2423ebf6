"""The commits of a repository as the judge reads them: parents, subjects, and what each changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.worlds import gitfiles

if TYPE_CHECKING:
    from collections.abc import Iterator

EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The tree without a file."""


@dataclass(frozen=True, slots=True)
class Commit:
    name: str
    parents: tuple[str, ...]
    subject: str
    changed: dict[str, str | None]
    """path → blob, None for one that was deleted, against the first parent."""


@dataclass
class History:
    """The commits that the references of the repository at ``git_dir`` reach."""

    git_dir: str
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, git_dir: str) -> History:
        found = cls(git_dir, refs=gitfiles.references(git_dir))
        names = [commit for commit in found.refs.values() if gitfiles.NAME.fullmatch(commit)]
        tips = gitfiles.there(git_dir, names)
        form = "--format=%x01%H%x02%P%x02%s%x02"
        words = ("log", "--stdin", "--ignore-missing", "--raw", "--root", "-z", "--no-abbrev", "--no-renames")
        # Diffs of merges count against the first parent: what came in by it is others' work, or the agent's own.
        done = gitfiles.run(git_dir, *words, "--diff-merges=first-parent", form, feed="\n".join(tips))
        for text in done.stdout.split("\x01")[1:]:
            name, parents, subject, rest = text.split("\x02", 3)
            found.commits[name] = Commit(name, tuple(parents.split()), subject, dict(_raw(rest)))
        return found

    def ancestors(self, name: str) -> set[str]:
        """The commit and all before it."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            commit = waiting.pop()
            if commit in self.commits and commit not in found:
                found.add(commit)
                waiting += self.commits[commit].parents
        return found

    def tree(self, name: str) -> dict[str, str]:
        """path → blob of all files of a commit."""
        done = gitfiles.run(self.git_dir, "ls-tree", "-r", "-z", name)
        return {
            path: what.split(" ")[2]
            for what, _, path in (line.partition("\t") for line in done.stdout.split("\0") if line)
        }

    def difference(self, base: str | None, name: str) -> dict[str, str | None]:
        """The files that differ between two commits, as the second has them."""
        words = ("diff-tree", "-r", "--raw", "-z", "--no-abbrev", "--no-renames")
        return dict(_raw(gitfiles.run(self.git_dir, *words, base or EMPTY, name).stdout))


def _raw(text: str) -> Iterator[tuple[str, str | None]]:
    """path and new blob of each entry of ``--raw -z``."""
    parts = text.strip("\n\0").split("\0")
    for facts, path in zip(parts[::2], parts[1::2], strict=False):
        words = facts.lstrip("\n").split(" ")
        if len(words) == 5:
            yield path, None if words[4] == "D" else words[3]

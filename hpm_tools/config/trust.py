"""What the operator approved, by the hash of what was approved (as ``direnv allow``).

Of a repository its file for Invoke and its git filters, of a directory with a tasks.py what that sets by ns.configure.
"""

from __future__ import annotations

import os

from hpm_tools import failpoints
from hpm_tools.config.files import read_file
from hpm_tools.errors import BadData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.state.paths import StateDir

ABSENT = "absent"
GIT = "-git"
CONFIGURED = "-configured"


def digest(content: bytes | None) -> str:
    """The SHA-256 of a file's content; ``absent`` for a file that is not there."""
    import hashlib

    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


class TrustStore:
    """The approvals in the state directory: 0600 files for each repository, named by its path's hash."""

    def __init__(self, state: StateDir) -> None:
        self.state = state

    def approval(self, repository: str) -> str | None:
        """The digest that was approved for ``repository``; None if none ever was."""
        if not os.path.isdir(self.state.trust):
            return None  # which saves most operators the import of hashlib
        content = read_file(self._file(repository))
        if content is None:
            return None
        import json

        try:
            return str(json.loads(content)["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(
                f"the approval {self._file(repository)} is damaged",
                f"approve again: hpm trust --repo {repository}",
            ) from error

    def approve(self, repository: str, content: bytes) -> str:
        """Record that ``content`` is what ``repository`` may set; returns its digest."""
        import json

        from hpm_tools.state.files import atomic_write, sweep

        approved = digest(content)
        self.state.prepare(self.state.trust)
        sweep(self.state.trust)
        record = {"repository": os.path.realpath(repository), "sha256": approved}
        atomic_write(self._file(repository), json.dumps(record).encode())
        return approved

    def git_settings(self, repository: str) -> frozenset[str]:
        """The digests of the git settings that ``repository`` may have executed."""
        return self._digests(repository, GIT, f"hpm trust --repo {repository}")

    def approve_git(self, repository: str, settings: Iterable[str]) -> None:
        """Record that the git settings with these digests, and no others, may be executed."""
        self._record(repository, GIT, settings)

    def configured(self, project: str) -> frozenset[str]:
        """The digests of what the tasks.py in ``project`` may set: it may set other things for each Collection."""
        return self._digests(project, CONFIGURED, "invoke trust")

    def approve_configured(self, project: str, content: bytes) -> bool:
        """Record that the tasks.py in ``project`` may set ``content``, too; False if it was so already."""
        known = self.configured(project)
        approved = digest(content)
        if approved in known:
            return False
        self._record(project, CONFIGURED, {*known, approved})
        return True

    def _digests(self, directory: str, kind: str, again: str) -> frozenset[str]:
        if not os.path.isdir(self.state.trust):
            return frozenset()
        path = self._file(directory, kind)
        content = read_file(path)
        if content is None:
            return frozenset()
        import json

        try:
            return frozenset(map(str, json.loads(content)["settings"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"the approval {path} is damaged", f"approve again: {again}") from error

    def _record(self, directory: str, kind: str, digests: Iterable[str]) -> None:
        import json

        from hpm_tools.state.files import atomic_write, sweep

        self.state.prepare(self.state.trust)
        sweep(self.state.trust)
        record = {"repository": os.path.realpath(directory), "settings": sorted(digests)}
        atomic_write(self._file(directory, kind), json.dumps(record).encode())

    def revoke(self, directory: str) -> bool:
        """Forget the approvals; False if there were none."""
        revoked = False
        for kind in ("", GIT, CONFIGURED):
            try:
                with failpoints.around("state"):
                    os.unlink(self._file(directory, kind))
            except FileNotFoundError:
                continue
            revoked = True
        return revoked

    def _file(self, repository: str, kind: str = "") -> str:
        return os.path.join(self.state.trust, f"{digest(os.path.realpath(repository).encode())}{kind}.json")

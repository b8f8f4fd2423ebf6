"""Which repositories' invoke.yaml the operator approved, by the hash of what was approved (as ``direnv allow``)."""

from __future__ import annotations

import json
import os

from hpm_tools.errors import BadData, CannotCreate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ABSENT = "absent"


def digest(content: bytes | None) -> str:
    """The SHA-256 of a file's content; ``absent`` for a file that is not there."""
    import hashlib

    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


class TrustStore:
    """The approvals in the state directory: one 0600 file per repository, named by its path's hash."""

    def __init__(self, home: str) -> None:
        self.directory = os.path.join(home, "trust")

    def approval(self, repository: str) -> str | None:
        """The digest that was approved for ``repository``; None if none ever was."""
        if not os.path.isdir(self.directory):
            return None
        try:
            with open(self._file(repository), "rb") as file:
                data: Any = json.loads(file.read(1 << 16))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BadData(
                f"{self._file(repository)} is damaged", f"approve again: hpm trust --repo {repository}"
            ) from error
        if not isinstance(data, dict) or not isinstance(data.get("sha256"), str):
            raise BadData(
                f"{self._file(repository)} is damaged", f"approve again: hpm trust --repo {repository}"
            )
        return str(data["sha256"])

    def approve(self, repository: str, content: bytes) -> str:
        """Record that ``content`` is what ``repository`` may set; returns its digest."""
        approved = digest(content)
        path = self._file(repository)
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            temporary = f"{path}.{os.getpid()}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump({"repository": os.path.realpath(repository), "sha256": approved}, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except OSError as error:
            raise CannotCreate(f"the approval cannot be recorded in {path}: {error.strerror}") from error
        return approved

    def revoke(self, repository: str) -> bool:
        """Forget the approval; False if there was none."""
        try:
            os.unlink(self._file(repository))
        except FileNotFoundError:
            return False
        return True

    def _file(self, repository: str) -> str:
        return os.path.join(self.directory, f"{digest(os.path.realpath(repository).encode())}.json")

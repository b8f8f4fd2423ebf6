"""A trusted invoke.yaml that was deleted: what is said leads out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.frontends import hpm
from tests.support.repos import make_repo

if TYPE_CHECKING:
    from pathlib import Path


def test_deleted_trusted_file_is_named_with_a_way_on_that_works(tmp_path: Path) -> None:
    shop = make_repo(tmp_path / "shop").root
    (shop / "invoke.yaml").write_text("hpm: {claude_timeout: 700}\n", encoding="utf-8")
    assert hpm("trust", cwd=shop).returncode == 0
    (shop / "invoke.yaml").unlink()
    refused = hpm("claude.model", "--difficulty", "junior", cwd=shop)
    assert refused.returncode == 78
    assert refused.stderr.splitlines() == [
        f"error: {shop}/invoke.yaml was trusted and is gone",
        f"  put it back, or: hpm trust --repo {shop} --revoke",
    ]
    assert hpm("trust", "--repo", str(shop), "--revoke").returncode == 0
    assert hpm("claude.model", "--difficulty", "junior", cwd=shop).returncode == 0

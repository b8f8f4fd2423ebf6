"""All places that a setting may stand in, below one directory."""

from __future__ import annotations

import json
import subprocess
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from hpm_tools.config import Configuration, invoke_files, load_config
from hpm_tools.state.paths import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ORDER = (
    "flag",
    "HEADLESS_PM",
    "INVOKE_HPM",
    "runtime",
    "config.yaml",
    "user",
    "system",
    "repository",
    "ns.configure",
)
INVOKE_FILES = ("runtime", "user", "system")


class Places:
    """A directory with all places in it; ``set`` writes settings into one of them, ``load`` reads them all."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.home = tmp_path / "me"
        self.repository = tmp_path / "shop"
        self.state = StateDir(str(self.home / ".headless-pm"))
        (self.home / ".headless-pm").mkdir(parents=True, mode=0o700)
        subprocess.run(["git", "init", "-q", str(self.repository)], check=True)
        self.environ = {"HOME": str(self.home)}
        self.flags: dict[str, Any] = {}
        self.stems = {
            "runtime": tmp_path / "session",
            "user": self.home / ".invoke",
            "system": tmp_path / "etc-invoke",
            "repository": self.repository / "invoke",
        }
        monkeypatch.setattr(invoke_files, "SYSTEM", str(self.stems["system"]))

    def write(self, place: str, text: str, suffix: str = ".yaml") -> str:
        """Make ``place``, which is a file, hold ``text``; returns its path."""
        path = f"{self.stems[place]}{suffix}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if place == "runtime":
            self.environ["INVOKE_RUNTIME_CONFIG"] = path
        return path

    def set(self, place: str, **settings: Any) -> str:
        """Set ``settings`` in ``place``; returns what their source must be."""
        name = next(iter(settings))
        if place == "flag":
            self.flags.update(settings)
            return f"flag --{name}"
        if place in ("HEADLESS_PM", "INVOKE_HPM"):
            self.environ |= {f"{place}_{name.upper()}": str(value) for name, value in settings.items()}
            return f"{place}_{name.upper()}"
        if place == "config.yaml":
            with open(self.state.config_file, "w", encoding="utf-8") as file:
                json.dump(settings, file)
            return self.state.config_file
        if place == "ns.configure":
            configured = invoke_files.Configured(settings, str(self.repository))
            self.monkeypatch.setattr(invoke_files, "configured", ContextVar("configured", default=configured))
            return f"ns.configure (tasks in {self.repository})"
        return self.write(place, json.dumps({"hpm": settings, "run": {"echo": True}}))

    def load(self, **options: Any) -> Configuration:
        return load_config(
            environ=self.environ, flags=self.flags, repo=self.repository, start_dir=self.home, **options
        )

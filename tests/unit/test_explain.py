"""`run --explain` and the example are one text."""

from __future__ import annotations

from pathlib import Path

from hpm_tools.runner.explain import script

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shell_runner.sh"


def test_the_example_is_what_explain_prints() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == script("backend_dev", "dev_001", None) + "\n"


def test_what_is_put_in_stays_one_word() -> None:
    text = script("backend_dev", "dev_001", "junior", single_task=True)
    assert "level=${LEVEL:-junior}" in text
    assert "single=${SINGLE_TASK:-yes}" in text
    assert "@" not in text.replace('"${held[@]}"', "")


def test_settings_are_exported_each_as_one_word() -> None:
    settings = {"executor": "command", "hooks_dir": "/its hooks", "roles_dir": None}
    text = script("backend_dev", "dev_001", "junior", settings=settings)
    assert (
        "set -u\nexport HEADLESS_PM_EXECUTOR=command\nexport HEADLESS_PM_HOOKS_DIR='/its hooks'\n\nagent="
        in text
    )
    assert "ROLES_DIR" not in text

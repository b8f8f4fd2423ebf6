"""`invoke run --role backend_dev --agent-id dev_001` works after README's steps, in a new home and a repository of one's own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.doc_blocks import blocks
from tests.support.frontends import BIN, PROJECT
from tests.support.installed_invoke import invoke_without_hpm_tools
from tests.support.newcomer import SYSTEM_PATH, copy_files_of_this_project
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

SENTENCE = "invoke run --role backend_dev --agent-id dev_001"
MAJOR = script({"write": ["hello.txt", "hello\n"]}, {"commit": "Say hello"})
UPSTREAM = "https://example.com/"
"""Where README's address of this project begins."""

REGISTRY = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_")
"""The variables by which pip, pipx and uv are told where packages come from."""


class NewUser(Desk):
    """A home whose ~/.local/bin is what README's steps made it, and the system's programs."""

    @property
    def bin(self) -> Path:
        return self.home / ".local" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PATH": f"{self.bin}:{SYSTEM_PATH}"}

    def shell(self, text: str, within: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.hpm_as(["bash", "-ec", text], within=within, **extra)

    def works_by_the_sentence(self) -> None:
        """A task on the board is reported by what ``SENTENCE`` starts, which then ends when it is told to."""
        task = self.board.add_task(complexity="major", description=MAJOR)
        log = self.directory / "sentence.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-ec", f"exec {SENTENCE}"],
                cwd=self.repo,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: self.board.task(task["id"])["status"] == "dev_done" or process.poll() is not None,
                timeout=200,
                what="a reported task",
            )
            process.send_signal(signal.SIGTERM)
            process.wait(200)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.end_agents()
        said = log.read_text(encoding="utf-8")
        assert self.board.task(task["id"])["status"] == "dev_done", said
        assert "Traceback" not in said
        assert self.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"


@pytest.fixture
def user(tmp_path: Path, exact_board: BoardUnderTest) -> NewUser:
    return NewUser(tmp_path / "user", exact_board, make_repo(tmp_path / "project").root)


def readme(*parts: str) -> list[str]:
    """The lines of README's one shell block that has all ``parts``."""
    (block,) = (
        block
        for block in blocks(PROJECT / "README.md")
        if block.language == "sh" and all(part in block.text for part in parts)
    )
    return block.text.splitlines()


def test_readme_says_the_sentence() -> None:
    assert SENTENCE in readme("HEADLESS_PM_API_KEY", "invoke run")


def test_the_sentence_works_by_the_checkouts_invoke(user: NewUser, tmp_path: Path) -> None:
    (tmp_path / "checkout" / ".venv").mkdir(parents=True)
    (tmp_path / "checkout" / ".venv" / "bin").symlink_to(BIN)
    linked = user.shell(f"cd {tmp_path}/checkout\n" + "\n".join(readme("ln -s", ".venv/bin/invoke")))
    assert linked.returncode == 0, linked.stderr
    made = user.shell("hpm init")
    assert f"`invoke` runs our tasks here, by {user.bin}/invoke\n" in made.stderr
    user.works_by_the_sentence()


def test_an_invoke_that_is_there_already_is_kept_and_told_of(user: NewUser, tmp_path: Path) -> None:
    """README's line links what is missing; `hpm init` names the one that stands in the way, and its Python."""
    other = invoke_without_hpm_tools(tmp_path / "other")
    user.bin.mkdir(parents=True)
    (user.bin / "invoke").symlink_to(other)
    (tmp_path / "checkout" / ".venv").mkdir(parents=True)
    (tmp_path / "checkout" / ".venv" / "bin").symlink_to(BIN)
    linked = user.shell(f"cd {tmp_path}/checkout\n" + "\n".join(readme("ln -s", ".venv/bin/invoke")))
    assert (linked.returncode, (user.bin / "invoke").resolve()) == (1, other.resolve())
    made = user.shell("hpm init")
    assert f"its Python, {other.parent}/python, has no hpm_tools" in made.stderr
    assert "/bin/invoke does: call it by this name" in made.stderr
    ran = user.shell(SENTENCE)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (78, "", 1)


@pytest.fixture(scope="session")
def installers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a real pipx and a real uv."""
    venv = tmp_path_factory.mktemp("installers")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([*pip, "pipx", "uv"], check=True, env=without_proxies(os.environ))
    return venv / "bin"


def without_proxies(environment: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}


@pytest.fixture
def published(user: NewUser, tmp_path: Path) -> None:
    """README's address of this project is a repository of its files as they are."""
    if not (PROJECT / ".git").exists():
        pytest.skip("not a checkout")
    project = tmp_path / "upstream" / "hpm-tools.git"
    copy_files_of_this_project(project)
    with (user.home / ".gitconfig").open("a", encoding="utf-8") as file:
        file.write(f'[url "{project.parent}/"]\n\tinsteadOf = {UPSTREAM}\n')
    for words in ("init -q", "add -A", "commit -q -m published"):
        subprocess.run(["git", *words.split()], cwd=project, env=user.environment, check=True)


@pytest.mark.registry
@pytest.mark.extended
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("before", ["nothing", "an invoke of its own"])
@pytest.mark.parametrize("tool", ["pipx", "uv"])
@pytest.mark.usefixtures("published")
def test_the_sentence_works_by_what_pipx_or_uv_installs(
    user: NewUser, installers: Path, tool: str, before: str
) -> None:
    package, *lines = readme("pipx install", "uv tool install")
    (line,) = (line for line in lines if line.startswith(tool))
    registry = {name: value for name, value in os.environ.items() if name.startswith(REGISTRY)}
    environment = {
        **registry,
        "PATH": f"{user.bin}:{installers}:{SYSTEM_PATH}",
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    index = subprocess.run(
        [installers / "python", "-m", "pip", "config", "get", "global.index-url"],
        env=without_proxies(os.environ),
        capture_output=True,
        text=True,
    )
    if index.returncode == 0:
        environment.setdefault("UV_DEFAULT_INDEX", index.stdout.strip())
    if before == "an invoke of its own":
        user.shell(f"{'pipx' if tool == 'pipx' else 'uv tool'} install invoke", 600, **environment)
    installed = user.shell(f"{package}\n{line}", 900, **environment)
    assert installed.returncode == 0, installed.stderr
    assert sorted(path.name for path in user.bin.iterdir()) == ["hpm", "inv", "invoke"]
    made = user.shell("hpm init --json")
    assert [program["path"] for program in json.loads(made.stdout)["invoke"] if program["works"]] == [
        f"{user.bin}/invoke"
    ]
    user.works_by_the_sentence()
    for command in ("hpm demo", f"hpm report --html {shlex.quote(str(user.directory))}/report.html"):
        done = user.shell(command, 300)
        assert done.returncode == 0, (command, done.stderr)

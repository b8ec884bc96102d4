"""Executes the blocks of pages as a reader would: `python -m proteinx_pipelines_tests.guides.runner FOLDER PAGE...`.

One process for many pages, so that PyTorch is imported once; of its own, so that the plugins of a page stay out of
other tests. `proteinx up` and `proteinx node` start once, in the background, and end with it.
"""

import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines_tests.guides.blocks import REPOSITORY, Command, blocks, commands

HAPPENED = {
    "git": "a clone is what the tests run in",
    "cd": "the folder is the test's",
    ".": "the environment is the test's",
}
"""Commands of the README that have happened before a test can run, each with its reason."""
ONCE = ("proteinx init", "proteinx db import", "proteinx up", "proteinx node")
"""Commands that a reader of several pages types once in a folder."""
_PATIENCE_S = 150.0


class Reader:
    """A reader of pages in the current folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[subprocess.Popen[bytes]] = []
        self.master = ""
        self.typed: set[str] = set()
        self.n_run = 0

    def read(self, page: Path) -> None:
        """Execute the blocks of a page in order."""
        for block in blocks(page):
            if block.title:
                (self.folder / block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                self._timed(block.text.strip().splitlines()[0], lambda text=block.text: self._python(text))
            elif block.language == "bash":
                for command in commands(block.text):
                    self._timed(command.text, lambda command=command: self._run(command))

    def close(self) -> None:
        """Stop what was started."""
        for server in reversed(self.servers):
            server.terminate()
            server.wait(timeout=60)

    def _timed(self, name: str, act: Callable[[], None]) -> None:
        began = time.monotonic()
        act()
        self.n_run += 1
        say(f"{time.monotonic() - began:6.2f} s  {name}")

    def _run(self, command: Command) -> None:
        words = [self._addressed(word) for word in command.words]
        if command.text.startswith(ONCE) and command.text in self.typed:
            return
        self.typed.add(command.text)
        if words[:2] == ["proteinx", "up"]:
            self._serve([*words, "--no-web"], "proteinx.log", {"PROTEINX_MASTER_PORT": "0"})
            self._until(lambda: "Submit with" in (self.folder / "proteinx.log").read_text(), "proteinx.log")
            where = self.folder / "workdir_compute" / "master" / "master.json"
            self.master = json.loads(where.read_text(encoding="utf-8"))["url"]
        elif words[:2] == ["proteinx", "node"]:
            self._join(words)
        elif words[0] == "proteinx":
            self._proteinx(words, command)
        elif words[0] == "make":
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), command.text
        elif words[0] == "export":
            os.environ.update(dict(pair.split("=", 1) for pair in words[1:]))
            sys.path[:0] = [self.folder.as_posix()] if "PYTHONPATH=." in words else []
        elif words[0] == "curl":
            done = subprocess.run([*words, "--fail-with-body"], capture_output=True, text=True, check=False)
            assert done.returncode == command.exit_code, done.stdout + done.stderr
        else:
            assert words[0] in HAPPENED, f"nothing knows how to run {command.text!r}"

    def _proteinx(self, words: list[str], command: Command) -> None:
        result = CliRunner().invoke(main, words[1:], env={"COLUMNS": "120"})
        if result.exit_code != command.exit_code:
            if result.exception is not None:
                traceback.print_exception(result.exception)
            raise AssertionError(f"exit code {result.exit_code} of {command.text}\n{result.output}")

    def _join(self, words: list[str]) -> None:
        """A second machine, on this one: another WORKDIR, another name."""
        import httpx2

        words = words if "--name" in words else [*words, "--name", "another"]
        name, log = words[words.index("--name") + 1], f"{words[words.index('--name') + 1]}.log"
        other = {"PROTEINX_WORKDIR": str(self.folder / f"workdir_{name}")}
        self._serve([*words, *([] if "--no-web" in words else ["--no-web"])], log, other)
        there = f"{self.master}/api/nodes"
        self._until(
            lambda: name in [each["name"] for each in httpx2.get(there, timeout=30).json()["items"]], log
        )

    def _serve(self, words: list[str], log: str, environment: dict[str, str]) -> None:
        with (self.folder / log).open("wb") as stream:
            server = subprocess.Popen(
                [sys.executable, "-m", "proteinx_pipelines.cli.main", *words[1:]],
                env={**os.environ, **environment}, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.servers.append(server)

    def _until(self, ready: Callable[[], bool], log: str) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not ready():
            if self.servers[-1].poll() is not None or time.monotonic() > end:
                raise AssertionError(f"not ready:\n{(self.folder / log).read_text()}")
            time.sleep(0.1)

    def _addressed(self, text: str) -> str:
        return text.replace("http://HOST:8000", self.master)

    def _python(self, text: str) -> None:
        exec(compile(self._addressed(text), "page", "exec"), {"__name__": "page"})


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def read_all(folder: Path, pages: list[Path]) -> None:
    """Read pages one after another in one folder; the first block that does not work ends it with a trace."""
    os.chdir(folder)
    reader = Reader(folder)
    try:
        for page in pages:
            say(f"== {page.relative_to(REPOSITORY)}")
            reader.read(page)
    finally:
        reader.close()


if __name__ == "__main__":
    read_all(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])

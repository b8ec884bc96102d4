"""A WORKDIR of its own for each test, `proteinx` as a user types it, and a history made by the node's own intake."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation
from proteinx_pipelines.node.lifecycle.bundle_writer import bundle_writer
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.connections import master_line, master_queue
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; WORKDIR is `workdir_compute` in it, as for a user who has set nothing."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(folder: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with an empty server behind REDIS_URL."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    connect(redis_url).flushdb()
    yield load_settings()
    master_line.cache_clear()
    master_queue.cache_clear()


Proteinx = Callable[..., Result]


@pytest.fixture
def proteinx() -> Proteinx:
    """Run a command; fails with its output unless it ends with the exit code `expect` (None: any)."""

    def run(*arguments: str, expect: int | None = 0) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert expect is None or result.exit_code == expect, result.output
        return result

    return run


class History:
    """`state.db` as a node would have written it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = Ledger(settings.state_path)
        queue = RedisQueue(connect(settings.redis_url or ""), settings.queue_name, settings.node_name)
        self.intake = Intake(settings, self.state, queue)

    def arrive(self, experiment_id: str, **more: Any) -> Generation:
        """A message comes and is accepted."""
        flags = {"data": {"source": "GB1"}, "run": {"allow_duplicate": True}}
        self.intake.ingest(json.dumps({"experiment_id": experiment_id, "flags": flags, **more}).encode())
        current = self.state.latest(experiment_id)
        assert current is not None
        return current

    def begin(self, experiment_id: str, stage: str = "train", progress: float = 0.5) -> Generation:
        """Its run begins and reaches a stage."""
        current = self.state.latest(experiment_id) or self.arrive(experiment_id)
        token = self.state.begin(
            experiment_id,
            current.generation,
            current.attempt,
            run_id=f"run-{experiment_id}",
            host_pid=1,
            timeout_s=None,
        )
        assert token is not None
        self.state.note_stage(token, "selection", "computed")
        self.state.beat(token, stage=stage, progress=progress, note="epoch 3 of 6", pid=1)
        return self._latest(experiment_id)

    def end(self, experiment_id: str, outcome: Outcome | None = None) -> Generation:
        """It ends: SUCCEEDED unless told otherwise."""
        current = self.begin(experiment_id)
        usual = Outcome(
            "SUCCEEDED", summary={"test/spearman": 0.8412, "test/mse": None}, stages={"selection": "computed"}
        )
        finish_generation(self.settings, self.state, current, outcome or usual)
        assert bundle_writer().wait(60)
        return self._latest(experiment_id)

    def _latest(self, experiment_id: str) -> Generation:
        current = self.state.latest(experiment_id)
        assert current is not None
        return current


@pytest.fixture
def history(settings: Settings) -> History:
    """An empty history, to be filled."""
    return History(settings)

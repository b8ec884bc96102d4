"""Every kind of work that shards split: the same numbers as one process, and nothing finished is computed again."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.bench.proteingym import score_assays
from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.runs import Ran, Task, run_all
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.shards import kept
from proteinx_pipelines.execution.shards.kept import KeptSpread, cluster_spread
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.design import final_model
from proteinx_pipelines_tests.bench.test_proteingym import write_assay
from proteinx_pipelines_tests.campaign.conftest import toy  # noqa: F401  # a fixture
from proteinx_pipelines_tests.campaign.test_runs import tasks
from proteinx_pipelines_tests.execution.test_embedding_in_shards import Here

DESIGNED = {
    "data": {"source": "TOY"}, "split": {"method": "random", "folds": 3}, "model": {"name": "ridge"},
    "evaluate": {"bootstrap": 0, "plots": False, "train_fractions": [0.3, 0.6]},
    "design": {"library": "doubles", "n": 5},
}  # fmt: skip


class Counting(Here):
    """A pool without processes that counts what it computes, by kind."""

    computed: dict[str, int]

    def compute(self, function: Any, tasks: Any, alive: Any) -> Any:
        for number, result in super().compute(function, tasks, alive):
            self.computed[function.kind] = self.computed.get(function.kind, 0) + 1
            yield number, result


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Number of shards that were computed, by kind."""
    pool = Counting()
    pool.computed = {}

    @contextmanager
    def counting(_settings: Settings, _n: int) -> Iterator[Counting]:
        yield pool

    monkeypatch.setattr(kept, "shard_pool", counting)
    return pool.computed


def designed(settings: Settings, experiment_id: str, n_shards: int) -> ExperimentDir:
    """An experiment with a learning curve and a design."""
    attempt = Attempt(settings, experiment_id, parse_flags({**DESIGNED, "run": {"shards": n_shards}}))
    try:
        for stage in STAGES:
            attempt.publish(attempt.run_stage(stage, attempt.record))
    finally:
        attempt.close()
    return ExperimentDir(settings.experiments_dir, experiment_id)


def numbers(directory: ExperimentDir) -> dict[str, Any]:
    """What the experiment says, in full."""
    return {
        "predictions": directory.predictions.read_bytes(),
        "curve": read_json(directory.report_json)["size_curve"],
        "library": pq.read_table(directory.design_dir / "predictions.parquet"),
        "proposals": (directory.design_dir / "proposals.csv").read_bytes(),
    }


def test_folds_learning_curve_and_library_of_an_experiment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, computed: dict[str, int]
) -> None:
    monkeypatch.setattr(final_model, "_AT_ONCE", 1 << 14)  # several blocks, as in a library of millions
    alone = numbers(designed(settings, "alone", 1))
    assert computed == {}
    shutil.rmtree(settings.paths.store_dir)
    assert numbers(designed(settings, "shared", 3)) == alone
    first = dict(computed)
    assert first == {"fold": 3, "size_curve": 6, "library": 3}
    # The stages' own entries are lost, as with an attempt that was killed: every shard is taken over.
    for stage in STAGES:
        shutil.rmtree(settings.paths.store_dir / stage, ignore_errors=True)
    assert numbers(designed(settings, "again", 3)) == alone
    assert computed == first


def spread(settings: Settings) -> KeptSpread:
    return KeptSpread(settings, StageStore.of(settings), 4, "0" * 64)


def outcomes(found: list[Ran]) -> list[Any]:
    return [[(each.seed, each.best, each.hits) for each in ran.campaigns] for ran in found]


def campaigns(landscape: Landscape, folder: Path, chosen: list[Task], by: Any = None) -> list[Any]:
    return outcomes(run_all(landscape, chosen, range(2), folder=folder, processes=1, spread=by))


def test_campaigns_of_a_simulation(
    settings: Settings,
    toy: Landscape,  # noqa: F811
    tmp_path: Path,
    computed: dict[str, int],
) -> None:
    alone = campaigns(toy, tmp_path / "alone", tasks())
    assert campaigns(toy, tmp_path / "shared", tasks(), spread(settings)) == alone
    assert computed == {"campaign": 6}
    assert campaigns(toy, tmp_path / "elsewhere", tasks(), spread(settings)) == alone
    assert computed == {"campaign": 6}


def scores(files: dict[str, Path], by: Any = None) -> list[str]:
    """What was scored, as text: a mean over folds may be NaN, which equals nothing."""
    found = score_assays(files, ("random", "modulo"), ("model.name=ridge",), jobs=1, spread=by)
    return sorted(repr(replace(each, seconds=0)) for each in found)


def test_assays_of_a_benchmark(settings: Settings, tmp_path: Path, computed: dict[str, int]) -> None:
    files = {"TOY": write_assay(tmp_path)}
    alone = scores(files)
    assert scores(files, spread(settings)) == alone
    assert computed == {"assay": 2}
    assert scores(files, spread(settings)) == alone
    assert computed == {"assay": 2}
    table = files["TOY"].read_text().splitlines()
    files["TOY"].write_text("\n".join(table[:-1]) + "\n")  # other measurements are other shards
    scores(files, spread(settings))
    assert computed == {"assay": 4}


def test_a_command_uses_a_cluster_by_one_setting(settings: Settings) -> None:
    assert cluster_spread(settings, "bench proteingym") is None
    found = cluster_spread(replace(settings, dask="tcp://10.0.0.7:8786"), "bench proteingym")
    assert found is not None
    assert found.of != cluster_spread(replace(settings, dask="tcp://10.0.0.7:8786"), "other").of  # type: ignore[union-attr]

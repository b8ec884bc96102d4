"""ProteinGym's supervised protocol: stored folds, targets standardised on training folds, pooled Spearman.

Train on four folds and predict the fifth, five times; targets are standardised with the mean and deviation of
the training folds; no validation rows. Spearman and squared error are taken once over all predictions.

Source:
    Notin et al. 2023, "ProteinNPT", and OATML-Markslab/ProteinGym, release 1.3 (`merge_supervised.py`).
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.bench.assays import INDEX, read_assay
from proteinx_pipelines.bench.protocol import OutOfFold, run_protocol
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.spreading import Files, Spread
from proteinx_pipelines.stages.known_names import known_here

_FOLDS = 5
_FILE = "score.json"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class AssayScore:
    """One assay under one scheme."""

    name: str
    scheme: str
    n: int
    """Number of predicted variants."""
    pooled: float
    """Spearman over the predictions of all folds, the published quantity."""
    fold_mean: float
    mse: float
    """In units of the training folds' variance."""
    coverage: float | None
    """Share of measured values inside the 95 % interval; None if the model has no uncertainty."""
    seconds: float
    remarks: tuple[str, ...]
    """Differences from the published run, each beginning with data, folds or metric."""


def column_of(scheme: str) -> str:
    """Name of the fold column of a scheme."""
    return f"fold_{scheme}_{_FOLDS}"


def score_assay(name: str, file: Path, scheme: str, pairs: Sequence[str]) -> AssayScore:
    """Run the protocol on one assay.

    Args:
        name: DMS_id.
        file: its table, fold columns included.
        scheme: one of `schemes.SCHEMES`.
        pairs: flags as `name=value`, including the model.

    Raises:
        InputError: a stage refuses data or flags. FlagError: a pair is not a flag.
    """
    document = {
        "data": {"source": name},
        "split": {"method": "file", "path": str(file), "column": column_of(scheme)},
        "train": {"target": "standardize"},
    }
    found = run_protocol(
        read_assay(name, file), parse_flags(document, list(pairs), known=known_here()), split_file=file
    )
    return AssayScore(
        name=name,
        scheme=scheme,
        n=len(found.target),
        pooled=found.pooled,
        fold_mean=found.fold_mean,
        mse=found.mse,
        coverage=found.coverage(),
        seconds=found.seconds,
        remarks=tuple(_remarks(found)),
    )


def score_assays(
    files: Mapping[str, Path],
    schemes: Sequence[str],
    pairs: Sequence[str],
    *,
    jobs: int,
    own: Mapping[str, Sequence[str]] | None = None,
    spread: Spread | None = None,
) -> Iterator[AssayScore]:
    """Score every assay under every scheme, yielding results as they finish; the largest files start first.

    With several jobs each is a process of its own with one thread of linear algebra: the folds of small
    assays are too small to share.

    Args:
        files: assay -> its table.
        schemes: of the folds.
        pairs: flags of all assays.
        jobs: processes.
        own: assay -> further flags, such as its structure.
        spread: workers of a cluster, instead of processes of this machine; scores that were finished before are taken
        over.
    """
    longest = sorted(files, key=lambda name: -files[name].stat().st_size)
    tasks = [
        (name, files[name], scheme, (*pairs, *(own or {}).get(name, ())))
        for name in longest
        for scheme in schemes
    ]
    if spread is not None:
        sent = [AssayTask.of(*task) for task in tasks]
        for _, found in spread.compute(AssayWork(), sent, lambda _done: None):
            yield AssayScore(**{**(read := json.loads(found[_FILE])), "remarks": tuple(read["remarks"])})
        return
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield score_assay(*task)
        return
    with _one_thread_each(), ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: set[Future[AssayScore]] = {pool.submit(score_assay, *task) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class AssayTask:
    """One assay under one scheme, with its table: a worker needs no file of it."""

    name: str
    file: str
    content: bytes
    template: str
    scheme: str
    pairs: tuple[str, ...]

    @classmethod
    def of(cls, name: str, file: Path, scheme: str, pairs: Sequence[str]) -> "AssayTask":
        """Read the table; the files that flags name (structures) stay where they are."""
        (template,) = read_assay(name, file).templates.values()
        return cls(name, file.name, file.read_bytes(), template, scheme, tuple(pairs))


@dataclass(frozen=True)
class AssayWork:
    """Scores assays in workers."""

    kind = "assay"
    n_threads = 1
    passing = ()

    def label(self, task: AssayTask) -> Mapping[str, Any]:
        """Assay, scheme and flags, with digests of the files behind them."""
        named = [Path(pair.partition("=")[2]) for pair in task.pairs]
        return {
            "assay": task.name, "scheme": task.scheme, "pairs": list(task.pairs), "template": task.template,
            "table": hashlib.sha256(task.content).hexdigest(),
            "files": [file_sha256(path) for path in named if path.is_file()],
        }  # fmt: skip

    def __call__(self, task: AssayTask) -> Files:
        """Score one assay."""
        with tempfile.TemporaryDirectory(prefix="proteinx-assay-") as folder:
            file = Path(folder) / task.file
            file.write_bytes(task.content)
            index = json.dumps({task.name: {"template": task.template}})
            file.with_name(INDEX).write_text(index, encoding="utf-8")
            found = score_assay(task.name, file, task.scheme, task.pairs)
        return {_FILE: json.dumps(asdict(found)).encode("utf-8")}  # a float is read back as it was


class _one_thread_each:  # noqa: N801  # reads as the statement it is used in
    """Context whose child processes use one thread of linear algebra; restores the environment on exit."""

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _remarks(found: OutOfFold) -> Iterator[str]:
    changed = ", ".join(f"{count} {rule}" for rule, count in found.dropped.items() if count)
    if changed:
        yield f"data: {changed}"
    if found.n_unused:
        yield f"folds: {found.n_unused} variants are in no fold"
    n_folds = len(np.unique(found.fold))
    yield from (f"evidence: {sentence}" for sentence in found.warnings)
    if n_folds != _FOLDS:
        yield f"folds: {n_folds} instead of {_FOLDS}"
    constant = int(np.isnan(found.per_fold).sum())
    if constant:
        yield (
            f"metric: predictions do not vary within {constant} of {n_folds} folds, where no order is predicted"
        )

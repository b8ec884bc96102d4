"""Functions for scripts and notebooks without a node: import data, run an experiment, rank experiments.

Thin: settings and paths are found here, the work is `catalog`'s, `execution`'s and `services`'. The functions are
promised: they are exported from the package itself and described in docs/api.md.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from proteinx_pipelines.experiment import Experiment, open_experiment
from proteinx_pipelines.flags.parsing import parse_file, parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from proteinx_pipelines.catalog.importing import ImportReport
    from proteinx_pipelines.services.ranking import Leaderboard

PathText = str | os.PathLike[str]


def import_file(
    file: PathText,
    *,
    workdir: PathText | None = None,
    name: str | None = None,
    template: str | None = None,
    mutant_column: str | None = None,
    score_column: str | None = None,
    offset: int | None = None,
    skip_bad: bool = False,
    replace: bool = False,
) -> "ImportReport":
    """Add a file of measured variants to the catalog of a WORKDIR, which is made if missing.

    Args:
        file: CSV and its relatives, XLSX, Parquet, Feather, JSON or FASTA, packed or not. An empty score is missing.
        workdir: whose catalog; that of the settings (`PROTEINX_WORKDIR`) when None.
        name: of the source, for `data.source`; the file's own without its ending when None.
        template: a sequence, or a file that has it; else `<file without ending>.json` or `.fasta` beside the file, else
            what the file says.
        mutant_column: name of the column of mutants; found by itself when None.
        score_column: of a number in the assay's own unit; likewise.
        offset: written position minus position in the template; when None, `offset` of the JSON file with the template
            beside the file, else 0.
        skip_bad: import the good rows and list the bad ones in the report.
        replace: put the file in the place of the source of this name.

    Returns:
        What was imported: `source`, `rows`, `problems`, ...

    Raises:
        CatalogError: rows are bad, the source is there already, or the file cannot be read. Nothing was imported.
    """
    from proteinx_pipelines.catalog import importing

    return importing.import_file(
        _settings(workdir).database_path, Path(file), name=name, template=template, mutant_column=mutant_column,
        score_column=score_column, offset=offset, skip_bad=skip_bad, replace=replace,
    )  # fmt: skip


def run_experiment(
    experiment_id: str,
    flags: ExperimentFlags | Mapping[str, Any] | str | Path,
    *,
    workdir: PathText | None = None,
    payload: PathText | None = None,
    on_progress: Callable[[str, float, str], None] | None = None,
) -> Experiment:
    """Run an experiment here and now, in this process; no queue, no node.

    Run again with the same id, what has not changed is reused; broken off, it continues.

    Args:
        experiment_id: its name, and that of its directory.
        flags: nested, dotted, text, or the path of a file.
        workdir: where its directory will be; that of the settings (`PROTEINX_WORKDIR`) when None.
        payload: a file to take the data from instead of the catalog.
        on_progress: called with the stage, the fraction of it that is done and a note, at most once a second.

    Returns:
        The finished experiment.

    Raises:
        FlagError: the flags have problems; all of them are named.
        NodeBusy: the id belongs to an experiment of the queue; choose another.
        ProteinxError: as the stages say; `experiment.json` says FAILED then.
    """
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.stages.known_names import known_here

    known = known_here()
    if isinstance(flags, Path):
        flags = parse_file(flags, known=known)
    elif not isinstance(flags, ExperimentFlags):
        flags = parse_flags(flags, known=known)
    settings = _settings(workdir)
    run_local_experiment(
        settings,
        experiment_id,
        flags,
        payload_ref=None if payload is None else str(payload),
        on_progress=on_progress,
    )
    return open_experiment(experiment_id, settings.workdir)


def rank(
    experiments: Sequence[str | Experiment],
    metrics: Sequence[str] = ("spearman",),
    *,
    workdir: PathText | None = None,
    resamples: int = 1000,
    seed: int = 0,
    resample: Literal["variants", "positions"] | None = None,
) -> "Leaderboard":
    """Compare finished experiments on the variants that all of them tested, from the best to the worst.

    Every experiment sees the same resamples of variants, so that differences have intervals of their own.

    Args:
        experiments: two or more, by id or opened.
        metrics: the first one ranks.
        workdir: where ids are looked for; that of the settings (`PROTEINX_WORKDIR`) when None.
        resamples: of the paired bootstrap.
        seed: of its draws.
        resample: what is drawn, single variants or whole positions; as in the experiments' own reports when None.

    Returns:
        `rows` with values, intervals and the difference from the best, and `notes`: what to know before quoting one.

    Raises:
        UnknownExperiment: an id is not there.
        InputError: fewer than two experiments, or fewer than two common variants.
        ValueError: an unknown metric.
    """
    from proteinx_pipelines.services.ranking import rank_experiments

    opened = [
        each if isinstance(each, Experiment) else open_experiment(each, _settings(workdir).workdir)
        for each in experiments
    ]
    return rank_experiments(opened, metrics, resamples=resamples, seed=seed, resample=resample)


def _settings(workdir: PathText | None) -> Settings:
    found = load_settings()
    return found if workdir is None else dataclasses.replace(found, workdir=Path(workdir).absolute())

"""Rounds of a campaign in this WORKDIR: runs experiments by hand, judges promises, and writes the pages."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.campaign.defaults import for_positions, with_defaults
from proteinx_pipelines.campaign.promise import Before, Judged, Promised, judge
from proteinx_pipelines.campaign.stopping import advice
from proteinx_pipelines.contract.campaign import CampaignDocument, Round
from proteinx_pipelines.errors import ArtifactError
from proteinx_pipelines.execution.round_files import read_plate
from proteinx_pipelines.execution.run_local import StageListener, run_local_experiment
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
from proteinx_pipelines.experiment_dir.codecs import design as design_codec
from proteinx_pipelines.experiment_dir.codecs import transform as transform_codec
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import read_json, write_json, write_text
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.model import ModelFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.mutants import parse_mutants, renumbered
from proteinx_pipelines.pages.round import round_page
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.describe import Measured, measured_of
from proteinx_pipelines.stages.design.final_model import final_model, fit_final
from proteinx_pipelines.stages.design.intervals import Intervals
from proteinx_pipelines.stages.design.objective import for_target
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.stages.transform.transform import transform_variants

_SIGNS = {"maximize": 1.0, "minimize": -1.0}


def has_design(settings: Settings, experiment_id: str) -> bool:
    """True if an experiment has succeeded with a design."""
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    try:
        return read_experiment(directory).status == "SUCCEEDED" and bool(design_codec.load(directory).report)
    except (OSError, ValueError, ArtifactError):
        return False


def notes_of_design(settings: Settings, experiment_id: str) -> list[str]:
    """What the flags of an experiment's design ask for and is not there, in sentences."""
    report = design_codec.load(ExperimentDir(settings.experiments_dir, experiment_id)).report
    return list(report.get("notes", ()))  # none in a design of an earlier version


def with_design(settings: Settings, flags: ExperimentFlags) -> ExperimentFlags:
    """Fill in what a campaign's flags do not say: the rule of `campaign.defaults`, and a library.

    Raises:
        UnknownSource: the source is not in the catalog.
    """
    found = with_defaults(flags)
    if found.design.library is None:
        library = "combinations" if found.design.positions else "singles"
        found = found.model_copy(update={"design": found.design.model_copy(update={"library": library})})
    if found.model.kernel is not None:
        return found
    rows = select_variants(settings.database_path, found.data).rows
    mutations = parse_mutants(rows.column("mutant").combine_chunks())
    n_positions = len(found.design.positions) or len(np.unique(mutations.position))
    is_singles = bool((mutations.counts <= 1).all())
    return for_positions(found, n_positions, begins_with_singles=is_singles)


@dataclass(frozen=True)
class HandRunner:
    """Runs the experiment of a round in this process, as `services.rounds.Runner`."""

    settings: Settings
    on_stage: StageListener | None = None
    via: Literal["hand", "queue"] = "hand"

    def run(self, experiment_id: str, flags: ExperimentFlags) -> None:
        """Run it to its end."""
        run_local_experiment(self.settings, experiment_id, flags, on_stage=self.on_stage)

    def is_done(self, experiment_id: str) -> bool:
        """True if it has succeeded with a design."""
        return has_design(self.settings, experiment_id)


@dataclass(frozen=True)
class RoundJudge:
    """Compares promises with measurements and writes the pages, as `services.rounds.Judge`."""

    settings: Settings

    def judge(self, campaign: CampaignDocument, number: int) -> Mapping[str, Any]:
        """Compare the promises of a measured round; writes `round.json` and returns it."""
        current = campaign.rounds[number - 1]
        found = _judged(self.settings, self._directory(campaign), campaign, current).document()
        write_json(self._directory(campaign).judged(number), found)
        return found

    def page(self, campaign: CampaignDocument, number: int) -> Path:
        """Write the page of a round as it stands now."""
        directory = self._directory(campaign)
        judged = [
            read_json(directory.judged(k)) for k in range(1, number + 1) if directory.judged(k).is_file()
        ]
        current = campaign.rounds[number - 1]
        coming = (
            self._expected(campaign, number + 1) if current.measured else self._expected(campaign, number)
        )
        plate = directory.plate(number)
        page = round_page(
            campaign.document(),
            number,
            judged=judged[-1] if judged and judged[-1]["round"] == number else None,
            history=judged,
            plate=read_plate(plate) if plate.is_file() else [],
            expected=coming,
            advice=advice(judged, coming),
        )
        write_text(directory.page(number), page)
        return directory.page(number)

    def _directory(self, campaign: CampaignDocument) -> CampaignDir:
        return CampaignDir(self.settings.paths.campaigns_dir, campaign.campaign_id)

    def _expected(self, campaign: CampaignDocument, number: int) -> Mapping[str, Any] | None:
        """`report.json` of a round's design; None where there is none."""
        if number > len(campaign.rounds):
            return None
        directory = ExperimentDir(self.settings.experiments_dir, campaign.rounds[number - 1].experiment_id)
        try:
            return design_codec.load(directory).report
        except ArtifactError:
            return None


def _judged(settings: Settings, directory: CampaignDir, campaign: CampaignDocument, current: Round) -> Judged:
    assert current.measured is not None
    flags = parse_flags(campaign.flags)
    goal = for_target(flags).goal
    experiment = ExperimentDir(settings.experiments_dir, current.experiment_id)
    variants = transform_codec.load(experiment)
    report = design_codec.load(experiment).report
    known = measured_of(variants, current.source, goal)
    now = _measured_now(settings, flags, current)
    rows = read_plate(directory.plate(current.number))
    promised = _promised(rows, now, variants, known, flags)
    values = {name: utility(getattr(promised, name), goal) for name in ("measured", "prediction", "additive")}
    wild_type = float(utility(np.array([report["wild_type"]]), goal)[0])
    earlier = utility(known.target[np.isfinite(known.target)], goal)
    before = Before(wild_type, known.best, float((earlier > wild_type).mean()) if len(earlier) else None)
    sign = _SIGNS.get(goal, 0.0) if isinstance(goal, str) else 0.0
    return judge(
        current.number,
        current.experiment_id,
        promised,
        values,
        before,
        _controls(rows, now, known, variants),
        sign,
    )


def _measured_now(settings: Settings, flags: ExperimentFlags, current: Round) -> VariantTable:
    """What was measured of the plate, as the transform stage would give it to a model."""
    assert current.measured is not None
    data = DataFlags(source=(current.measured.source,), score=flags.data.score)
    return transform_variants(select_variants(settings.database_path, data), flags.transform)


def _targets(now: VariantTable, names: list[str], template: str, offset: int) -> np.ndarray:
    """float64 [n]: measured value of each name (user's numbering); NaN where it was not measured."""
    (source,) = now.templates
    table = candidates_of(source, template, now.rows.column("mutant").combine_chunks())
    key = {
        tuple(each): value
        for each, value in zip(table.keys().tolist(), now.column("target").tolist(), strict=True)
    }
    asked = candidates_of(source, template, [_moved(name, -offset) for name in names])
    return np.array([key.get(tuple(each), np.nan) for each in asked.keys().tolist()], np.float64)


def _moved(name: str, by: int) -> str:
    return str(renumbered([name], by)[0].as_py())


def _promised(
    rows: list[dict[str, str]],
    now: VariantTable,
    variants: VariantTable,
    known: Measured,
    flags: ExperimentFlags,
) -> Promised:
    template = known.candidates.template
    offset = variants.offsets.get(known.candidates.source, 0)
    plate: dict[str, dict[str, str]] = {row["mutant"]: row for row in rows if int(row["rank"]) > 0}
    values = _targets(now, list(plate), template, offset)
    kept = [name for name, value in zip(plate, values, strict=True) if np.isfinite(value)]
    asked = candidates_of(known.candidates.source, template, [_moved(name, -offset) for name in kept])

    def column(name: str) -> np.ndarray:
        return np.array([float(plate[mutant].get(name) or "nan") for mutant in kept])

    return Promised(
        mutants=kept, prediction=column("prediction"), deviation=column("deviation"), low=column("low"),
        high=column("high"), p_wild_type=column("p_better_than_wild_type"), p_best=column("p_better_than_best"),
        additive=_additive(variants, asked, flags), measured=values[np.isfinite(values)],
    )  # fmt: skip


def _additive(variants: VariantTable, asked: Candidates, flags: ExperimentFlags) -> np.ndarray:
    """Predictions of a ridge on one-hot mutations, trained on what the round was trained on."""
    simple = flags.model_copy(
        update={"embedding": EmbeddingFlags(), "model": ModelFlags(name="ridge"), "train": TrainFlags()}
    )
    monitor = StageMonitor()
    embedding = embed_variants(variants, simple.embedding, monitor)
    with tempfile.TemporaryDirectory(prefix="proteinx-round-", ignore_cleanup_errors=True) as scratch:
        fitted = fit_final(
            variants, embedding, simple, directory=ExperimentDir(Path(scratch), "additive"), monitor=monitor
        )
    plain = Intervals("constant", float("nan"), 0, "")
    return final_model(fitted, variants, simple, plain, {}).predict(asked)[0]


def _controls(
    rows: list[dict[str, str]], now: VariantTable, known: Measured, variants: VariantTable
) -> list[dict[str, Any]]:
    """Controls that were measured again, beside what they were."""
    names = list(dict.fromkeys(row["mutant"] for row in rows if int(row["rank"]) == 0))
    if not names:
        return []
    template = known.candidates.template
    offset = variants.offsets.get(known.candidates.source, 0)
    again = _targets(now, names, template, offset)
    own = variants.rows.filter(pc.equal(variants.rows.column("source"), known.candidates.source))
    before = _targets(VariantTable(own, {known.candidates.source: template}), names, template, offset)
    return [
        {"mutant": name, "before": None if np.isnan(old) else float(old), "now": float(new)}
        for name, old, new in zip(names, before, again, strict=True)
        if np.isfinite(new)
    ]

"""The evaluate stage: predictions of every row, metrics with intervals beside baselines, and the report.

The first stage to read test targets. It scores the trained models and never changes them. It fits models of its own
for two purposes: the additive baseline (a ridge, always), and the learning curve against training-set size (the same
model on fewer rows, if `evaluate.train_fractions` is set). The result is written by
`experiment_dir.codecs.evaluate`; the result message carries its summary.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.contract.report import REPORT_FORMAT, Report
from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pages.figures.files import picture_files, png_files
from proteinx_pipelines.records import Embedding, Evaluation, Split, Training, VariantTable
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.evaluate import facts
from proteinx_pipelines.stages.evaluate.citations import references
from proteinx_pipelines.stages.evaluate.extremes import extreme_facts
from proteinx_pipelines.stages.evaluate.maps import mutated_sites
from proteinx_pipelines.stages.evaluate.methods import methods_paragraph
from proteinx_pipelines.stages.evaluate.passes import passes_of
from proteinx_pipelines.stages.evaluate.phrases import sets_in_words, split_in_words
from proteinx_pipelines.stages.evaluate.pictures import report_pictures
from proteinx_pipelines.stages.evaluate.predict import predict_parts, predictions_table
from proteinx_pipelines.stages.evaluate.scored import scored_records
from proteinx_pipelines.stages.evaluate.scoring import judge
from proteinx_pipelines.stages.evaluate.singles import MOST_MODELS, predict_singles
from proteinx_pipelines.stages.evaluate.size_curve import size_curve

EVALUATE_VERSION = "13"
"""Raise it when the same models and flags give other predictions, metrics or another report."""


def evaluate_models(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    training: Training,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    spread: Spread | None = None,
) -> Evaluation:
    """Score the trained models on rows they were not trained on.

    Args:
        variants: N variants with finite targets in the test rows; those without a target, which are in no part, are
            not judged.
        embedding: row i belongs to variant i.
        split: one fold, or K for cross-validation; its test rows are scored.
        training: one model per fold.
        flags: `evaluate.*`; the others are described in the report.
        directory: read for the query as it was run; nothing is written.
        monitor: receives progress and metrics; may stop the evaluation.
        spread: workers for the points of the learning curve; None trains them one after the other.

    Returns:
        `predictions` as `predict.predictions_table` says. `summary` has `test/<metric>`, for cross-validation
        pooled over the out-of-fold predictions with `test/<metric>_fold_mean` beside it (for repeated or nested
        cross-validation, pooled in each pass and averaged), and `val/<metric>`
        where there are validation rows; NaN where a metric is undefined. The same records and flags give the
        same bytes.

    Raises:
        EmptySplit: there is no test row; change `split.*`.
        LeakageFound: a model's target scaling was fitted with other than its training rows.
        ArtifactError: a model is missing or damaged; run the train stage again.
        PluginError: a plugin's metric failed; fix the plugin.
        Stopped: the monitor ended the evaluation.
    """
    from proteinx_pipelines.stages.evaluate.fitted import refuse_fitted_on_test
    from proteinx_pipelines.stages.train.export import FittedModel, load_model

    everything = (variants, embedding, split)
    variants, embedding, split = scored_records(variants, embedding, split)
    target = variants.column("target").astype(np.float64)

    models: dict[int, FittedModel] = {}

    def load(fold: int) -> FittedModel:
        model = load_model(training.model_dirs[fold])
        refuse_fitted_on_test(model, target, split.folds[fold], fold, flags.split)
        if fold < MOST_MODELS:
            models[fold] = model
        return model

    parts = predict_parts(
        load,
        embedding,
        split,
        progress=lambda done, total: monitor.progress(done / max(1, total) * 0.5, 1, "predicting"),
    )
    if not len(parts["test"]):
        raise EmptySplit("There is no test row to evaluate on; at least one is expected. Change `split.*`.")
    judged = judge(variants, embedding, split, training, parts, flags, monitor)
    judged["size_curve"] = size_curve(
        *everything, flags, monitor, in_target_units=judged["in_target_units"], spread=spread
    )
    report = json_ready(
        {
            "format": REPORT_FORMAT,
            **judged,
            "experiment": facts.experiment_facts(flags, directory),
            "data": facts.data_facts(variants, embedding, split),
            "split": {
                **facts.split_facts(split),
                "words": " ".join(
                    [_sentence(split_in_words(flags, len(split.folds))), *sets_in_words(split.info)]
                ),
            },
            "training": facts.training_facts(training),
            "provenance": facts.provenance_facts(flags),
            "references": references(flags),
        }
    )
    report["methods"] = methods_paragraph(flags, report)
    _tell(monitor, judged)
    monitor.progress(0.9, 1, "report")
    test = passes_of(parts["test"], split)[0]
    report["extremes"] = json_ready(extreme_facts(variants, test, in_target_units=report["in_target_units"]))
    files: dict[str, bytes] = {}
    if flags.evaluate.plots:
        sites = mutated_sites(variants)
        singles = None
        if sites is not None:
            asked = list(models.values())
            singles = predict_singles(
                asked, variants, embedding, sites.source, sites.positions, flags, monitor
            )
        figures = report_pictures(variants, split, test, report, training, sites, singles, embedding.evidence)
        files = {**picture_files(figures), **(png_files(figures) if flags.evaluate.png else {})}
    report["plots"] = sorted(name for name in files if name.endswith(".svg"))
    Report.model_validate(report)  # a report that breaks its own schema is a bug of this package
    table = predictions_table(variants, parts, folds=split.is_cross_validation)
    return Evaluation(table, judged["summary"], report, files)


def _tell(monitor: StageMonitor, judged: Mapping[str, Any]) -> None:
    """Record the headline metrics, and those of each fold."""
    for name, value in judged["summary"].items():
        if np.isfinite(value):
            monitor.metric(name, value)
    folds = judged["metrics"]["test"]["folds"]
    for entry in folds if len(folds) > 1 else ():
        for name in judged["metrics"]["test"]["values"]:
            if np.isfinite(entry[name]):
                monitor.metric(f"test/{name}", entry[name], fold=entry["fold"])


def _sentence(phrase: str) -> str:
    return f"{phrase[0].upper()}{phrase[1:]}."

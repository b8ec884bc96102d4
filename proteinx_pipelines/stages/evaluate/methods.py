"""Methods paragraph with this experiment's numbers, versions and citations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pages.report_words import pooling_in_words
from proteinx_pipelines.stages.evaluate.citations import short
from proteinx_pipelines.stages.evaluate.error_facts import errors_in_words
from proteinx_pipelines.stages.evaluate.evidence_facts import evidence_in_words
from proteinx_pipelines.stages.evaluate.intervals import resamples_of
from proteinx_pipelines.stages.evaluate.model_phrases import model_in_words, representation_in_words
from proteinx_pipelines.stages.evaluate.phrases import sets_in_words, split_in_words
from proteinx_pipelines.stages.evaluate.task_facts import tasks_in_words
from proteinx_pipelines.user_models import is_network

_TARGETS = {
    "none": "",
    "standardize": " on targets standardised by the mean and deviation of the training rows",
    "rank": " on normal scores of the ranks of the training targets",
}
SOFTWARE = {"python": "Python", "numpy": "NumPy", "scipy": "SciPy", "scikit-learn": "scikit-learn",
            "torch": "PyTorch", "lightning": "Lightning", "fair-esm": "fair-esm"}  # fmt: skip
_LIMITS = {
    "limit_train_batches": "Each epoch used",
    "overfit_batches": "Training and validation used",
    "limit_val_batches": "Each validation used",
}
"""Argument of the Trainer -> beginning of the sentence about it."""
_ENDS = {
    "trainer.fast_dev_run": "was a trial of a few batches (`trainer.fast_dev_run`) and no fit",
    "trainer.max_time": "was ended by its time limit (`trainer.max_time`)",
    "trainer.max_steps": "was ended by its number of steps (`trainer.max_steps`)",
    "train.patience": "stopped once {patience} epochs had brought no better validation loss",
}
"""Flag that ended a training -> sentence for the reader; the maximum of epochs is in the model's own sentence."""

_TREES = ("boosting", "forest", "auto")


def methods_paragraph(flags: ExperimentFlags, report: Mapping[str, Any]) -> str:
    """Write the paragraph.

    Args:
        flags: of the experiment.
        report: the sections `data`, `interval`, `split`, `training`, `metrics`, `passes`, `provenance` and `leakage`.
    """
    data, n_folds = report["data"], len(report["split"]["sizes"])
    scaled, divided = _TARGETS[_scaling(flags, report)], split_in_words(flags, n_folds)
    model = model_in_words(flags, report["training"]["info"].get("folds", ()))
    sentences = [
        (
            f"{data['n_variants']:,} variants of {', '.join(flags.data.source)} were represented by "
            f"{representation_in_words(flags, data['embedding'])}."
        ),
        *filter(None, [evidence_in_words(data, report["training"]["info"].get("folds", ()))]),
        f"{model[0].upper()}{model[1:]} was trained{scaled} and evaluated in {divided}.",
        *filter(None, [tasks_in_words(report["training"]["info"].get("folds", ()))]),
        *sets_in_words(report["split"].get("info", {})),
        *errors_in_words(report["training"]["info"]),
        *_classes(flags, report["training"]["info"].get("folds", ())),
        *_ended(flags, report["training"]["info"].get("folds", ())),
        f"Metrics are over {_tested(report, n_folds)}.",
        (
            "Spearman's correlation uses average ranks for ties; NDCG and top-10 % recall follow ProteinGym "
            f"({short('proteingym')})."
        ),
        (
            "Baselines on the same variants are the mean of the training targets, the number of mutations, BLOSUM62 "
            f"({short('blosum62')}) and an additive model (ridge on one-hot)."
        ),
    ]
    if resamples_of(flags.evaluate):
        sentences.append(
            f"Intervals are {100 * flags.evaluate.ci:g} % percentile bootstrap intervals ({short('bootstrap')}) over "
            f"{resamples_of(flags.evaluate):,} resamples of the {_drawn(report)} (seed {flags.evaluate.seed}), the "
            "trained model held fixed."
        )
        if not _same_rows(report):
            sentences.append("The model's own values have none, since its passes test different variants.")
    accepted = [entry["check"] for entry in report["leakage"]["findings"]]
    if accepted:
        sentences.append(
            f"Leakage that was found and accepted: {', '.join(accepted)}; see the scores without it."
        )
    return " ".join([*sentences, _software(flags, report["provenance"]["versions"])])


def _classes(flags: ExperimentFlags, folds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Sentence about classes and the origin of their probabilities."""
    if not flags.transform.bins:
        return
    at = ", ".join(f"{threshold:g}" for threshold in flags.transform.bins)
    rows = sorted(
        {fold["class_probabilities"]["calibrated_on"] for fold in folds if "class_probabilities" in fold}
    )
    yield (
        f"Targets are classes, cut at {at}; probabilities are a proportional-odds function of the predictions "
        f"({short('proportional_odds')}), fitted on {' or '.join(rows) or 'rows that were left out'}."
    )


def _drawn(report: Mapping[str, Any]) -> str:
    found = report.get("interval", {})
    if found.get("unit") == "positions":
        return f"{found['positions']:,} test positions with all their variants"
    return "test variants"


def _seeds(flags: ExperimentFlags) -> str:
    n = effective(flags).train.seeds
    return f" from {n} seeds, whose mean is the prediction," if n > 1 else ""


def _scaling(flags: ExperimentFlags, report: Mapping[str, Any]) -> str:
    """Phrase about the scaling of targets: a network's may be standardised although the flag does not say so."""
    folds = report["training"]["info"].get("folds", ())
    return "standardize" if any("standardized_because" in fold for fold in folds) else flags.train.target


def _ended(flags: ExperimentFlags, folds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Phrase about what ended a network's training early or limited its epochs; without it training seems complete."""
    if not is_network(flags.model.name):
        return
    given = flags.trainer.arguments()
    for name, what in _LIMITS.items():
        limit = given.get(name)
        if (
            limit is not None
            and limit is not False
            and not (isinstance(limit, float) and limit in (0.0, 1.0))
        ):
            amount = f"{100 * limit:g} % of its batches" if isinstance(limit, float) else f"{limit} batches"
            yield f"{what} {amount} (`trainer.{name}`)."
    for name, words in _ENDS.items():
        ended = [fold for fold in folds if fold.get("ended_by") == name]
        if not ended:
            continue
        epochs = sorted({fold["epochs"] for fold in ended})
        after = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
        where = "" if len(folds) == 1 else f" in {len(ended)} of {len(folds)} folds"
        unit = "epoch" if after == "1" else "epochs"
        yield f"Training {words.format(patience=flags.train.patience)}{where}, after {after} {unit}."


def _tested(report: Mapping[str, Any], n_folds: int) -> str:
    """Sentence about the number of tested variants, the models that predict them, and the averaging of metrics."""
    counts = [report["metrics"]["test"]["n"]] if _same_rows(report) else report["passes"]["n_test"]
    number = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
    if n_folds == 1:
        return f"{number} test variants"
    each = "" if _same_rows(report) else " a pass, not the same ones in all"
    pooling = pooling_in_words(n_folds, report["passes"])
    return f"{number} test variants{each}, each predicted by a model that was not trained on it, {pooling}"


def _same_rows(report: Mapping[str, Any]) -> bool:
    return report["passes"] is None or bool(report["passes"]["same_rows"])


def _software(flags: ExperimentFlags, versions: Mapping[str, str]) -> str:
    """Software that this experiment used to compute the numbers."""
    esm = is_language_model(flags.embedding.name)
    used = ["python", "numpy", "scipy"]
    used += ["scikit-learn"] * (flags.model.name in _TREES)
    used += ["torch"] * (esm or is_network(flags.model.name)) + ["lightning"] * (is_network(flags.model.name))
    used += ["fair-esm"] * flags.embedding.name.startswith("esm1")
    named = [f"{SOFTWARE[name]} {versions[name]}" for name in used]
    return f"Computed with ProteinX Compute {versions['proteinx-infra']} on {', '.join(named[:-1])} and {named[-1]}."

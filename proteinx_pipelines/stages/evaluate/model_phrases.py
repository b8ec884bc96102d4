"""Phrases of the methods paragraph about the representation and the model: names, settings, training.

Where they stand in the paragraph is decided in `methods`; the splits' phrases are in `phrases`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proteinx_pipelines.domain.embedders import FOLDER, is_language_model
from proteinx_pipelines.flags.tree import ExperimentFlags, plugin_flags
from proteinx_pipelines.stages.evaluate.citations import short, short_of_model
from proteinx_pipelines.user_models import is_network

REPRESENTATIONS = {
    "onehot": "one-hot encoding of every residue",
    "blosum62": f"the BLOSUM62 rows of the residues at the mutated positions ({short('blosum62')})",
    "scales": "hydropathy, charge, volume and five z-scales of the residues at the mutated positions "
    f"({short('scales')})",
    "substitution": "features of their substitutions (residues, BLOSUM62, changes of hydropathy, charge, volume and "
    f"five z-scales, position, neighbours; {short('blosum62')}; {short('scales')})",
    "kmers": "counts of their residues and of pairs of residues one, two and three places apart",
    "structure": "the surroundings of their mutations in the structure",
    "alignment": "log-odds and conservation of their mutations in the alignment",
    "file": "precomputed vectors",
}
"""Phrases for representations; language models and plugins are named as they are."""
_SCORES = {
    "wild_type_marginals": "wild-type-marginal",
    "masked_marginals": "masked-marginal",
    "pseudo_likelihood": "pseudo-likelihood",
}
_POOLINGS = {
    "mean": "mean over residues",
    "bos": "the state of the BOS token",
    "mutated": "mean over the mutated positions",
    "mutated_difference": "mean over the mutated positions less the wild type's states there",
    "per_residue": "the states of all residues",
}
MODELS = {
    "ridge": "ridge regression",
    "ridge_cv": "ridge regression, the penalty chosen by generalised cross-validation within the training rows,",
    "gp": "a Gaussian process",
    "boosting": "gradient boosting of regression trees",
    "forest": "an ensemble of extremely randomised trees",
    "auto": "the mean of a Gaussian process (weight 0.6) and gradient-boosted trees (0.4)",
    "mlp": "a multi-layer perceptron",
    "cnn": "a convolutional network over the residues",
    "light_attention": "a light-attention network over the residues",
    "finetune": "a fine-tuned protein language model",
}
_OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}


def representation_in_words(flags: ExperimentFlags, info: Mapping[str, Any]) -> str:
    """Phrase for the representation and those beside it."""
    chosen = flags.embedding
    parts = [REPRESENTATIONS.get(name, f"the representation '{name}'") for name in chosen.also]
    if is_language_model(chosen.name):
        own = _language_model(flags, info)
    else:
        own = REPRESENTATIONS.get(chosen.name, f"the representation '{chosen.name}'")
    cut = info.get("windowed")
    window = (
        f" ({cut['sequences']} sequences cut to {cut['residues']} residues around their mutations)"
        if cut
        else ""
    )
    return f"{own}{window}{' and '.join(['', *parts])}"


def _language_model(flags: ExperimentFlags, info: Mapping[str, Any]) -> str:
    chosen = flags.embedding
    is_folder = chosen.name == FOLDER
    cited = "from a folder" if is_folder else short(chosen.name.partition("_")[0])
    score = f"{_SCORES.get(chosen.zero_shot, '')} score"
    name = Path(str(chosen.weights)).name if is_folder else chosen.name
    if chosen.pooling == "none":
        return f"the {score} ({short('esm1v')}) of {name} ({cited})"
    layer = info.get("layer", "last")
    layers = f"layers {', '.join(map(str, layer))}" if isinstance(layer, list) else f"layer {layer}"
    own = f"{name} embeddings ({cited}; {layers}, {_POOLINGS[chosen.pooling]})"
    return own if chosen.zero_shot == "none" else f"{own} with its {score} ({short('esm1v')})"


def model_in_words(flags: ExperimentFlags, folds: Sequence[Mapping[str, Any]]) -> str:
    """The model as a noun phrase, with its settings and whom to cite."""
    cited, details = short_of_model(flags.model.name), _details(flags, folds)
    inside = "; ".join(text for text in (details, cited) if text)
    named = MODELS.get(flags.model.name, f"the model '{flags.model.name}' of a plugin")
    if any("gp_share" in fold for fold in folds):
        named = "the mean of a Gaussian process and gradient-boosted trees, weights chosen in each fold,"
    if flags.model.name == "auto" and any(
        {"new_positions", "known_positions"} & {*fold["parts"]} for fold in folds
    ):
        named = f"the mean of {_beside_network(folds)} and a network learned across assays,"
        if any("table_share" in fold for fold in folds):
            named += " weights chosen in each fold,"
    alone = sum(fold["parts"] == ["gp"] for fold in folds) if flags.model.name == "auto" else 0
    if alone:  # `auto` omits the trees for rows that do not suit them
        named = (
            MODELS["gp"]
            if alone == len(folds)
            else f"{named}, in {alone} of {len(folds)} folds the process alone,"
        )
    return f"{named.removesuffix(',')} ({inside}){',' * named.endswith(',')}" if inside else named


def _beside_network(folds: Sequence[Mapping[str, Any]]) -> str:
    """The parts of `auto` beside what was learned across assays."""
    parts = {part for fold in folds for part in fold["parts"]}
    if "gp_with_prior" in parts:
        return "Gaussian processes, with and without a prior,"
    return "a Gaussian process, gradient-boosted trees" if "boosting" in parts else "a Gaussian process"


def _details(flags: ExperimentFlags, folds: Sequence[Mapping[str, Any]]) -> str:
    own = _settings(flags, folds)
    if not flags.train.search:
        return own
    names = ", ".join(flags.train.space)
    how = (
        f"{names} chosen in each fold by {flags.train.search_metric} on {flags.split.inner_folds} inner folds"
    )
    return f"{own}; {how}" if own else how


def _settings(flags: ExperimentFlags, folds: Sequence[Mapping[str, Any]]) -> str:
    model, train = flags.model, flags.train
    if model.name == "ridge":
        return f"L2 penalty {model.alpha:g}, closed form"
    if model.name in ("gp", "auto") and folds:
        return _process(folds)
    own = plugin_flags(flags.nested()).get("model", {})
    listed = ", ".join(f"{name} {value}" for name, value in own.items())
    if not is_network(model.name):
        return listed
    layers = {
        "mlp": f"hidden layers {', '.join(map(str, model.hidden_dims))}; {model.activation}; ",
        "cnn": f"{model.channels} channels; ",
        "light_attention": f"{model.channels} channels; ",
        "finetune": _tuning(flags),
    }.get(model.name, f"{listed}; " if listed else "")
    optimizer = _OPTIMIZERS[train.optimizer]
    return (
        f"{layers}{optimizer}, learning rate {train.lr:g}, batches of {train.batch_size}, at most {train.max_epochs} "
        f"epochs, seed {train.seed}"
    )


def _tuning(flags: ExperimentFlags) -> str:
    model = flags.model
    how = {
        "lora": f"low-rank corrections of rank {model.lora_rank}",
        "full": "all weights",
        "head": "the head alone",
    }[model.tuning]
    cited = short(model.backbone.partition("_")[0])
    where = "" if model.tuned_layers is None else f" in the last {model.tuned_layers} layers"
    return f"{model.backbone} ({cited}), {how}{where}; "


def _process(folds: Sequence[Mapping[str, Any]]) -> str:
    """Phrase about the kernels and rows used to fit the folds; they depend on the rows, not only on flags."""
    kernels = " or ".join(sorted({fold["kernel"] for fold in folds}))
    drawn = [fold["n_rows"] for fold in folds if fold.get("n_rows", fold["n_train"]) < fold["n_train"]]
    rows = f", on {max(drawn):,} training rows drawn at random" if drawn else ""
    roots = ", fitted to cube roots" if any("scale_of_targets" in fold for fold in folds) else ""
    return f"{kernels} kernel{rows}{roots}, parameters of the highest penalised marginal likelihood"

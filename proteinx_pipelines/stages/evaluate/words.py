"""The experiment in words: what was asked for, a methods paragraph, and what to cite.

Every sentence is made from flags and records, so a report cannot describe another experiment than its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proteinx_pipelines.flags.base import CountRange, Range
from proteinx_pipelines.flags.data import Condition, DataFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.representations import is_language_model

_REPRESENTATIONS = {
    "onehot": "one-hot encoding of every residue",
    "blosum62": "the BLOSUM62 rows of the residues at the mutated positions",
    "scales": "hydropathy, charge, volume and five z-scales of the residues at the mutated positions",
    "substitution": "features of their substitutions (residues, BLOSUM62, scale changes, position, neighbours)",
    "file": "precomputed vectors",
}
_SCORES = {"wild_type_marginals": "wild-type-marginal", "masked_marginals": "masked-marginal"}
_MODELS = {"ridge": "ridge regression", "mlp": "a multi-layer perceptron"}
_TARGETS = {
    "none": "",
    "standardize": " on targets standardised by the mean and deviation of the training rows",
    "rank": " on normal scores of the ranks of the training targets",
}

_CITED = ("esm2", "esm1b", "esm1v", "scales")
"""Beginnings of representations' names that have a reference of their own."""
REFERENCES = {
    "esm1b": (
        "Rives et al. 2021, Biological structure and function emerge from scaling unsupervised learning to 250 "
        "million protein sequences, PNAS 118:e2016239118, doi:10.1073/pnas.2016239118 (ESM-1b)."
    ),
    "esm1v": (
        "Meier et al. 2021, Language models enable zero-shot prediction of the effects of mutations on protein "
        "function, NeurIPS, doi:10.1101/2021.07.09.450648 (ESM-1v; marginal scores)."
    ),
    "scales": (
        "Kyte and Doolittle 1982, J. Mol. Biol. 157:105 (hydropathy); Zamyatnin 1972, Prog. Biophys. Mol. Biol. "
        "24:107 (volume); Sandberg et al. 1998, J. Med. Chem. 41:2481, doi:10.1021/jm9700575 (z-scales)."
    ),
    "esm2": (
        "Lin et al. 2023, Evolutionary-scale prediction of atomic-level protein structure with a "
        "language model, Science 379:1123, doi:10.1126/science.ade2574 (ESM-2)."
    ),
    "ridge": (
        "Hoerl and Kennard 1970, Ridge regression, Technometrics 12:55, doi:10.1080/00401706.1970.10488634."
    ),
    "mlp": ("Loshchilov and Hutter 2019, Decoupled weight decay regularization, ICLR (AdamW)."),
    "bootstrap": (
        "Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals)."
    ),
    "proteingym": (
        "Notin et al. 2023, ProteinGym, NeurIPS Datasets and Benchmarks, "
        "doi:10.1101/2023.12.07.570727 (definitions of NDCG and top-10 % recall; position-wise "
        "splits)."
    ),
    "blosum62": (
        "Henikoff and Henikoff 1992, Amino acid substitution matrices from protein blocks, PNAS "
        "89:10915, doi:10.1073/pnas.89.22.10915 (baseline)."
    ),
}
"""What a report may ask to be cited, by the part of the experiment that it belongs to."""


def title_of(flags: ExperimentFlags) -> str:
    """One line that names the data, the model and the representation."""
    sources = flags.data.source
    data = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    return f"{data}: {flags.model.name} on {' + '.join((flags.embedding.name, *flags.embedding.also))}"


def query_in_words(flags: DataFlags) -> str:
    """The selection as one sentence."""
    parts = [f"All variants of {', '.join(flags.source)}", *_conditions(flags)]
    sentence = " ".join(parts) if len(parts) == 1 else f"{parts[0]} {', and '.join(parts[1:])}"
    drawn = f"; {flags.limit:,} of them drawn at random (seed {flags.seed})" if flags.limit else ""
    return f"{sentence}{drawn}."


def _conditions(flags: DataFlags) -> Iterator[str]:
    if mutations := _between(flags.mut_num):
        yield f"with {mutations} mutations"
    if score := _between(flags.dms_score):
        yield f"with a DMS score of {score}"
    if flags.dms_score_bin:
        yield f"with DMS_score_bin {' or '.join(flags.dms_score_bin)}"
    yield from (f"where {_condition(condition)}" for condition in flags.where)


def _between(interval: Range | CountRange) -> str:
    low, high = interval.min, interval.max
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""
    return f"{low:g} to {high:g}" if low != high else f"exactly {low:g}"


def _condition(condition: Condition) -> str:
    value = condition.value
    shown = " and ".join(map(str, value)) if condition.op == "between" and isinstance(value, tuple) else value
    if condition.op == "in" and isinstance(value, tuple):
        shown = ", ".join(map(str, value))
    return f"{condition.column} {condition.op}" + ("" if value is None else f" {shown}")


def split_in_words(flags: ExperimentFlags, n_folds: int) -> str:
    """The split as a noun phrase."""
    split = flags.split
    kinds = {
        "random": f"at random (seed {split.seed})",
        "stratified": f"at random within {split.bins} bins of the target (seed {split.seed})",
        "by_position": f"by mutated position, in random groups (seed {split.seed})",
        "leave_one_position_out": "that leaves out one mutated position at a time",
        "clusters": f"by clusters of sequences at identity {split.identity:g} (single linkage, seed {split.seed})",
        "by_source": f"by source (tested: {', '.join(split.test_sources or ('each',))})",
        "n_vs_rest": f"by number of mutations (up to {split.n} for training, more for testing)",
        "modulo": "by mutated position, modulo the number of folds",
        "contiguous": "by mutated position, in contiguous runs",
        "low_vs_high": "by score (low for training, high for testing)",
        "file": f"as column '{split.column}' of a given file says",
    }
    how = kinds.get(split.method, f"by the method '{split.method}'")
    if n_folds == 1:
        return f"a single split {how}"
    n_passes = split.inner_folds or split.repeats
    kind = f"{n_folds // n_passes}-fold cross-validation" if n_folds > n_passes else "a single split"
    if split.repeats > 1:
        return f"{kind} {how}, repeated {split.repeats} times with other seeds"
    inner = f", with {split.inner_folds} inner folds for validation" if split.inner_folds else ""
    return f"{kind} {how}{inner}"


def methods_paragraph(flags: ExperimentFlags, report: Mapping[str, Any]) -> str:
    """A paragraph for a methods section, with the numbers of this experiment.

    Args:
        flags: of the experiment.
        report: the sections `data`, `split` and `provenance`.
    """
    data, sizes = report["data"], report["split"]["sizes"]
    model = _MODELS.get(flags.model.name, flags.model.name) + _model_details(flags)
    n_test, version = sum(size["test"] for size in sizes), report["provenance"]["versions"]["proteinx-infra"]
    unseen = ", each predicted by the model that was not trained on it, pooled over folds"
    sources, represented = ", ".join(flags.data.source), _representation(flags, data["embedding"])
    scaled, divided = _TARGETS[flags.train.target], split_in_words(flags, len(sizes))
    sentences = [
        f"{data['n_variants']:,} variants of {sources} were represented by {represented}.",
        f"{model[0].upper()}{model[1:]} was trained{scaled} and evaluated in {divided}.",
        f"Metrics are over {n_test:,} test variants{unseen if len(sizes) > 1 else ''}.",
        "Spearman's correlation uses average ranks for ties; NDCG and top-10 % recall follow ProteinGym.",
    ]
    if flags.evaluate.bootstrap:
        sentences.append(
            f"Intervals are {100 * flags.evaluate.ci:g} % percentile bootstrap intervals over "
            f"{flags.evaluate.bootstrap:,} resamples of the test variants (seed {flags.evaluate.seed}), the "
            "trained model held fixed."
        )
    return " ".join([*sentences, f"Computed with ProteinX Compute {version}."])


def _representation(flags: ExperimentFlags, info: Mapping[str, Any]) -> str:
    chosen = flags.embedding
    parts = [_REPRESENTATIONS.get(name, f"the representation '{name}'") for name in chosen.also]
    if not is_language_model(chosen.name):
        own = _REPRESENTATIONS.get(chosen.name, f"the representation '{chosen.name}'")
    elif chosen.pooling == "none":
        own = f"the {_SCORES[chosen.zero_shot]} score of {chosen.name}"
    else:
        own = f"{chosen.name} embeddings (layer {info.get('layer', 'last')}, pooling '{chosen.pooling}')"
        if chosen.zero_shot != "none":
            own += f" with its {_SCORES[chosen.zero_shot]} score"
    cut = info.get("windowed")
    window = (
        f" ({cut['sequences']} sequences cut to {cut['residues']} residues around their mutations)"
        if cut
        else ""
    )
    return f"{own}{window}{' and '.join(['', *parts])}"


def _model_details(flags: ExperimentFlags) -> str:
    model, train = flags.model, flags.train
    if model.name == "ridge":
        return f" (L2 penalty {model.alpha:g}, closed form)"
    if model.name == "mlp":
        return (
            f" (hidden layers {', '.join(map(str, model.hidden_dims))}; {model.activation}; AdamW, learning "
            f"rate {train.lr:g}, batches of {train.batch_size}, at most {train.max_epochs} epochs, seed "
            f"{train.seed})"
        )
    return ""


def references(flags: ExperimentFlags) -> list[str]:
    """What a paper that uses this report should cite."""
    used = [flags.model.name, "blosum62", "proteingym"]
    names = (flags.embedding.name, *flags.embedding.also)
    used = [*(key for key in _CITED if any(name.startswith(key) for name in names)), *used]
    if flags.embedding.zero_shot != "none" and "esm1v" not in used:
        used.insert(1, "esm1v")
    if flags.evaluate.bootstrap:
        used.append("bootstrap")
    measured = f"The publication that measured {', '.join(flags.data.source)} (your data's own source)."
    return [measured, *(REFERENCES[name] for name in used if name in REFERENCES)]

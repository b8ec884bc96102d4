"""Works to cite for a report: each once, by the part of the experiment that it belongs to."""

import re
from collections.abc import Iterator

from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.flags.reading import JOINT
from proteinx_pipelines.flags.tree import ExperimentFlags

REFERENCES = {
    "esm2": (
        "Lin et al. 2023, Evolutionary-scale prediction of atomic-level protein structure with a "
        "language model, Science 379:1123, doi:10.1126/science.ade2574 (ESM-2)."
    ),
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
    "ridge": (
        "Hoerl and Kennard 1970, Ridge regression, Technometrics 12:55, doi:10.1080/00401706.1970.10488634."
    ),
    "ridge_cv": (
        "Golub, Heath and Wahba 1979, Generalized cross-validation as a method for choosing a good ridge parameter, "
        "Technometrics 21:215, doi:10.1080/00401706.1979.10489751."
    ),
    "gp": "Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, MIT Press.",
    "coregionalisation": (
        "Bonilla, Chai and Williams 2007, Multi-task Gaussian process prediction, NeurIPS; Alvarez, Rosasco and "
        "Lawrence 2012, Kernels for vector-valued functions: a review, Foundations and Trends in Machine Learning "
        "4:195, doi:10.1561/2200000036."
    ),
    "boosting": (
        "Friedman 2001, Greedy function approximation: a gradient boosting machine, Annals of Statistics 29:1189, "
        "doi:10.1214/aos/1013203451."
    ),
    "forest": (
        "Geurts, Ernst and Wehenkel 2006, Extremely randomized trees, Machine Learning 63:3, "
        "doi:10.1007/s10994-006-6226-1."
    ),
    "scikit-learn": "Pedregosa et al. 2011, Scikit-learn: machine learning in Python, JMLR 12:2825.",
    "mlp": "Loshchilov and Hutter 2019, Decoupled weight decay regularization, ICLR (AdamW).",
    "cnn": (
        "Dallago et al. 2021, FLIP: benchmark tasks in fitness landscape inference for proteins, NeurIPS Datasets "
        "and Benchmarks, doi:10.1101/2021.11.09.467890 (the network's architecture)."
    ),
    "light_attention": (
        "Stärk et al. 2021, Light attention predicts protein location from the language of life, Bioinformatics "
        "Advances 1:vbab035, doi:10.1093/bioadv/vbab035."
    ),
    "lora": "Hu et al. 2022, LoRA: low-rank adaptation of large language models, ICLR.",
    "torch": "Paszke et al. 2019, PyTorch: an imperative style, high-performance deep learning library, NeurIPS.",
    "blosum62": (
        "Henikoff and Henikoff 1992, Amino acid substitution matrices from protein blocks, PNAS "
        "89:10915, doi:10.1073/pnas.89.22.10915 (baseline)."
    ),
    "proteingym": (
        "Notin et al. 2023, ProteinGym, NeurIPS Datasets and Benchmarks, "
        "doi:10.1101/2023.12.07.570727 (definitions of NDCG and top-10 % recall; position-wise "
        "splits)."
    ),
    "proportional_odds": (
        "McCullagh 1980, Regression models for ordinal data, J. R. Stat. Soc. B 42:109, "
        "doi:10.1111/j.2517-6161.1980.tb01109.x (class probabilities)."
    ),
    "bootstrap": (
        "Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals)."
    ),
}
"""References that a report may list, in listing order."""
_OF_MODELS = {
    "boosting": ("boosting", "scikit-learn"),
    "forest": ("forest", "scikit-learn"),
    "auto": ("gp", "boosting", "scikit-learn"),
    "mlp": ("mlp", "torch"),
    "cnn": ("cnn", "mlp", "torch"),
    "light_attention": ("light_attention", "mlp", "torch"),
    "finetune": ("lora", "esm2", "mlp", "torch"),
}
"""Models that rest on more than the work of their own name."""
_SHORT = re.compile(r".*? \d{4}")


def references(flags: ExperimentFlags) -> list[str]:
    """References of this experiment, the data first."""
    used = {*_used(flags)}
    measured = f"The publication that measured {', '.join(flags.data.source)} (your data's own source)."
    return [measured, *(text for name, text in REFERENCES.items() if name in used)]


def short(name: str) -> str:
    """`Hoerl and Kennard 1970`: the reference as it stands in a sentence; every year it has."""
    return "; ".join(
        match.group().strip() for part in REFERENCES[name].split("; ") if (match := _SHORT.match(part))
    )


def short_of_model(name: str) -> str:
    """The works that a model rests on, in short."""
    return "; ".join(short(key) for key in _of_model(name))


def _of_model(name: str) -> tuple[str, ...]:
    return _OF_MODELS.get(name, (name,) if name in REFERENCES else ())


def _used(flags: ExperimentFlags) -> Iterator[str]:
    yield from ("blosum62", "proteingym", *_of_model(flags.model.name))
    for name in (flags.embedding.name, *flags.embedding.also):
        yield from (key for key in ("esm2", "esm1b", "esm1v") if name.startswith(key))
        if name in ("scales", "substitution"):
            yield "scales"
        if is_language_model(name):
            yield "torch"
    if flags.embedding.zero_shot != "none":
        yield "esm1v"
    if flags.model.name == "gp" and flags.model.tasks == JOINT:
        yield "coregionalisation"
    if flags.transform.bins:
        yield "proportional_odds"
    if flags.evaluate.bootstrap != 0:
        yield "bootstrap"

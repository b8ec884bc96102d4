"""Sentences about an experiment say what its flags say."""

import pytest

from proteinx_pipelines.domain.embedders import EMBEDDERS, is_language_model
from proteinx_pipelines.flags.model import MODELS
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.split import SPLIT_METHODS
from proteinx_pipelines.pages.report_words import pooling_in_words
from proteinx_pipelines.stages.evaluate import methods, model_phrases
from proteinx_pipelines.stages.evaluate.citations import REFERENCES, references, short
from proteinx_pipelines.stages.evaluate.phrases import (
    query_in_words,
    split_in_words,
    title_of,
)


def words(**data):
    return query_in_words(parse_flags({"data": {"source": "toy", **data}}).data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "All variants of toy."),
        ({"source": ["a", "b"]}, "All variants of a, b."),
        ({"mut_num": {"min": 1, "max": 3}}, "All variants of toy with 1 to 3 mutations."),
        ({"mut_num": {"min": 2}}, "All variants of toy with at least 2 mutations."),
        ({"mut_num": {"min": 2, "max": 2}}, "All variants of toy with exactly 2 mutations."),
        ({"dms_score": {"max": 0.5}}, "All variants of toy with a DMS score of at most 0.5."),
        ({"dms_score_bin": "1"}, "All variants of toy with DMS_score_bin 1."),
        (
            {"where": [{"column": "mutant", "op": "in", "value": ["A1C", "WT"]}], "limit": 5000, "seed": 7},
            "All variants of toy where mutant in A1C, WT; 5,000 of them drawn at random (seed 7).",
        ),
        (
            {
                "mut_num": {"max": 2},
                "where": [
                    {"column": "DMS_score", "op": "between", "value": [0, 1]},
                    {"column": "DMS_score_bin", "op": "is not null"},
                ],
            },
            (
                "All variants of toy with at most 2 mutations, and where DMS_score between 0 and 1, "
                "and where DMS_score_bin is not null."
            ),
        ),
    ],
)
def test_the_query_reads_as_a_sentence(data, expected):
    assert words(**data) == expected


@pytest.mark.parametrize("method", SPLIT_METHODS)
def test_every_split_method_has_words_of_its_own(method):
    given = {"path": "folds.csv", "column": "fold"} if method == "file" else {}
    flags = parse_flags({"data.source": "toy", "split": {"method": method, **given}})
    single, folded = split_in_words(flags, 1), split_in_words(flags, 5)
    assert single.startswith("a single split ")
    assert folded.startswith("5-fold cross-validation ")
    assert "by the method" not in single


def test_the_title_stays_short_with_many_sources():
    flags = parse_flags({"data.source": ["a", "b", "c", "d", "e"]})
    assert title_of(flags) == "a, b, c and 2 more: ridge on onehot"


def test_what_was_used_is_cited():
    plain = " ".join(references(parse_flags({"data.source": "toy", "evaluate.bootstrap": 0})))
    assert "Hoerl" in plain
    assert "Lin et al." not in plain
    assert "Efron" not in plain
    esm = {"data.source": "toy", "embedding.name": "esm2_t6_8M_UR50D", "model.name": "mlp"}
    used = " ".join(references(parse_flags(esm)))
    assert "Lin et al." in used
    assert "Loshchilov" in used
    assert "Efron" in used


def test_every_model_and_representation_has_words_and_a_work_to_cite():
    for name in MODELS:
        assert name in model_phrases.MODELS, name
        flags = parse_flags({"data.source": "toy", "model.name": name, "evaluate.bootstrap": 0})
        assert len(references(flags)) > 3, name  # the data, BLOSUM62 and ProteinGym are always there
    assert {name for name in EMBEDDERS if not is_language_model(name)} == set(model_phrases.REPRESENTATIONS)


def test_a_reference_in_short_is_its_authors_and_years():
    assert short("ridge") == "Hoerl and Kennard 1970"
    assert short("scales") == "Kyte and Doolittle 1982; Zamyatnin 1972; Sandberg et al. 1998"
    assert short("ridge_cv") == "Golub, Heath and Wahba 1979"
    assert all(short(name) for name in REFERENCES)


@pytest.mark.parametrize("name", ["scales", "substitution"])
def test_whatever_uses_the_scales_cites_them(name):
    """Of `substitution`, half of whose columns they are, nothing was cited."""
    first = references(parse_flags({"data.source": "toy", "embedding.name": name}))
    beside = references(parse_flags({"data.source": "toy", "embedding.also": [name]}))
    assert REFERENCES["scales"] in first
    assert REFERENCES["scales"] in beside
    assert short("scales") in model_phrases.REPRESENTATIONS[name]


@pytest.mark.parametrize(
    ("n_folds", "passes", "expected"),
    [
        (1, None, ""),
        (5, None, "pooled over folds"),
        (15, (3, "repeat"), "pooled over the folds of each pass and averaged over 3 passes (repeats)"),
        (3, (3, "inner fold"), "averaged over 3 passes (inner folds)"),
    ],
)
def test_how_folds_and_passes_give_one_number(n_folds, passes, expected):
    facts = passes and dict(zip(("n", "kind"), passes, strict=True))
    assert pooling_in_words(n_folds, facts) == expected


def paragraph(folds=1, leaks=(), info=None, passes=None, fits=(), **flags):
    sizes = [{"train": 80, "val": 0, "test": 20, "none": 0}] * folds
    versions = dict.fromkeys((*methods.SOFTWARE, "proteinx-infra"), "1.2")
    report = {
        "data": {"n_variants": 1234, "embedding": info or {}},
        "split": {"sizes": sizes},
        "provenance": {"versions": versions},
        "leakage": {"findings": [{"check": name} for name in leaks]},
        "training": {"info": {"folds": list(fits)}},
        "metrics": {"test": {"n": 20 * folds // (passes["n"] if passes else 1)}},
        "passes": passes,
    }
    return methods.methods_paragraph(parse_flags({"data.source": "toy", **flags}), report)


def test_the_methods_paragraph_says_what_was_done_with_versions_and_citations():
    found = paragraph(folds=5, leaks=["same_position"], **{"train.target": "standardize", "split.folds": 5})
    assert found == (
        "1,234 variants of toy were represented by one-hot encoding of every residue. Ridge regression (L2 penalty "
        "1, closed form; Hoerl and Kennard 1970) was trained on targets standardised by the mean and deviation of "
        "the training rows and evaluated in 5-fold cross-validation at random (seed 0). Metrics are over 100 test "
        "variants, each predicted by a model that was not trained on it, pooled over folds. Spearman's "
        "correlation uses average ranks for ties; NDCG and top-10 % recall follow ProteinGym (Notin et al. 2023). "
        "Baselines on the same variants are the mean of the training targets, the number of mutations, BLOSUM62 "
        "(Henikoff and Henikoff 1992) and an additive model (ridge on one-hot). Intervals are 95 % percentile "
        "bootstrap intervals (Efron and Tibshirani 1993) over 800 resamples of the test variants (seed 0), the "
        "trained model held fixed. Leakage that was found and accepted: same_position; see the scores without it. "
        "Computed with ProteinX Compute 1.2 on Python 1.2, NumPy 1.2 and SciPy 1.2."
    )


def test_the_methods_paragraph_names_model_layer_pooling_score_and_window():
    esm = {"embedding.name": "esm1v_t33_650M_UR90S_1", "embedding.pooling": "mutated_difference",
           "embedding.zero_shot": "masked_marginals", "embedding.also": ["scales"], "model.name": "auto"}  # fmt: skip
    fits = [{"kernel": "rbf", "n_train": 80, "parts": ["gp", "boosting"]}]
    found = paragraph(info={"layer": 33, "windowed": {"sequences": 7, "residues": 1022}}, fits=fits, **esm)
    assert (
        "esm1v_t33_650M_UR90S_1 embeddings (Meier et al. 2021; layer 33, mean over the mutated positions less the wild "
        "type's states there) with its masked-marginal score (Meier et al. 2021) (7 sequences cut to 1022 residues "
        "around their mutations) and hydropathy"
    ) in found
    assert "(0.4) (rbf kernel, parameters of the highest penalised marginal likelihood; Rasmussen" in found
    assert "Rasmussen and Williams 2006; Friedman 2001; Pedregosa et al. 2011" in found
    assert found.endswith("Python 1.2, NumPy 1.2, SciPy 1.2, scikit-learn 1.2, PyTorch 1.2 and fair-esm 1.2.")


def test_a_variant_that_is_tested_in_several_passes_is_counted_once_in_the_methods_paragraph():
    """Of 100 variants in 5 folds, 3 times, it said: 300 test variants, pooled over folds."""
    repeats = {"n": 3, "kind": "repeat", "same_rows": True, "n_test": [100] * 3}
    found = paragraph(folds=15, passes=repeats, **{"split.folds": 5, "split.repeats": 3})
    assert (
        "Metrics are over 100 test variants, each predicted by a model that was not trained on it, pooled over the "
        "folds of each pass and averaged over 3 passes (repeats)."
    ) in found
    other = {**repeats, "same_rows": False, "n_test": [90, 100, 94]}
    found = paragraph(folds=15, passes=other, **{"split.folds": 5, "split.repeats": 3})
    assert (
        "Metrics are over 90 to 100 test variants a pass, not the same ones in all, each predicted by"
        in found
    )
    assert "The model's own values have none, since its passes test different variants." in found


def test_the_methods_paragraph_names_the_kernel_and_rows_that_were_fitted_with():
    """It named the kernel that flags suggest: `mutation` for one-hot beside scales, and for a grid of residues."""
    fits = [{"kernel": "rbf", "n_rows": 80, "n_train": 80}]
    assert "(rbf kernel, parameters of" in paragraph(fits=fits, **{"model.name": "gp"})
    fits += [{"kernel": "mutation", "n_rows": 6000, "n_train": 8000}]
    found = paragraph(folds=2, fits=fits, **{"model.name": "gp", "split.folds": 2})
    assert "(mutation or rbf kernel, on 6,000 training rows drawn at random, parameters of" in found
    fits = [{"kernel": "sites", "n_rows": 80, "n_train": 80, "scale_of_targets": "root"}]
    assert "(sites kernel, fitted to cube roots, parameters of" in paragraph(
        fits=fits, **{"model.name": "gp"}
    )


def test_the_methods_paragraph_says_where_auto_was_the_process_alone():
    both, alone = (
        {"kernel": "mutation", "n_train": 80, "parts": parts} for parts in (["gp", "boosting"], ["gp"])
    )
    flags = {"model.name": "auto", "split.folds": 3}
    assert "A Gaussian process (mutation kernel, " in paragraph(folds=3, fits=[alone] * 3, **flags)
    assert "trees (0.4) (mutation kernel, " in paragraph(folds=3, fits=[both] * 3, **flags)
    some = paragraph(folds=3, fits=[both, alone, both], **flags)
    assert "trees (0.4), in 1 of 3 folds the process alone (mutation kernel, " in some


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            ["gp", "gp_with_prior", "new_positions"],
            "Gaussian processes, with and without a prior, and a network",
        ),
        (["gp", "new_positions"], "mean of a Gaussian process and a network"),
        (["gp", "known_positions"], "mean of a Gaussian process and a network"),
        (["gp", "boosting", "known_positions"], "a Gaussian process, gradient-boosted trees and a network"),
    ],
)
def test_the_methods_paragraph_names_what_was_learned_across_assays(parts, said):
    fits = [{"kernel": "mutation", "n_train": 80, "parts": parts}]
    assert f"{said} learned across assays" in paragraph(fits=fits, **{"model.name": "auto"})


@pytest.mark.parametrize(
    ("flags", "ended_by", "said"),
    [
        ({"trainer.fast_dev_run": True}, "trainer.fast_dev_run", "was a trial of a few batches"),
        ({"trainer.max_time": "00:01:00:00"}, "trainer.max_time", "by its time limit (`trainer.max_time`), after 1"),
        ({"trainer.max_steps": 5}, "trainer.max_steps", "ended by its number of steps"),
        ({"train.patience": 7}, "train.patience", "stopped once 7 epochs had brought no better validation loss"),
        ({"trainer.limit_train_batches": 0.25}, "train.max_epochs", "Each epoch used 25 % of its batches"),
        ({"trainer.limit_train_batches": 3}, "train.max_epochs", "Each epoch used 3 batches"),
        ({"trainer.overfit_batches": 2}, "train.max_epochs", "Training and validation used 2 batches"),
    ],
)  # fmt: skip
def test_the_methods_say_what_cut_a_training_short(flags, ended_by, said):
    read = parse_flags({"data.source": "toy", "model.name": "mlp", **flags})
    assert said in " ".join(methods._ended(read, [{"ended_by": ended_by, "epochs": 1}]))
    assert list(methods._ended(parse_flags({"data.source": "toy"}), [{}])) == []


def test_of_several_folds_the_methods_say_how_many():
    read = parse_flags({"data.source": "toy", "model.name": "mlp"})
    folds = [{"ended_by": "train.patience", "epochs": 12}, {"ended_by": "train.patience", "epochs": 30},
             {"ended_by": "train.max_epochs", "epochs": 50}]  # fmt: skip
    (said,) = methods._ended(read, folds)
    assert "in 2 of 3 folds, after 12 to 30 epochs" in said

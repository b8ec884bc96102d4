"""A prior in the report: a baseline of its own, what was left out of it, and what the model made of it."""

from dataclasses import replace

import numpy as np
import pytest

from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.stages.evaluate.evidence_facts import evidence_in_words
from proteinx_pipelines.stages.train.prior import Effects, Prior
from proteinx_pipelines.stages.train.prior_evidence import with_prior


class _Known(Prior):
    """A prior whose effects are set by hand."""

    def effects(self, template: str) -> Effects:
        values = np.random.default_rng(1).normal(size=(len(template), 20)).astype(np.float32)
        return Effects(values, np.zeros((3, *values.shape)), np.eye(20), ("cousin",), is_used=True)


def test_a_prior_is_a_baseline_and_the_relatives_left_out_are_named(make_experiment, page):
    experiment = make_experiment(**{"model.name": "gp"})
    prior = _Known(np.zeros((1, 4, 1)), np.zeros((1, 20, 20)), (), sha256="digest")
    embedding = with_prior(experiment.embedding, prior, experiment.variants.templates)
    found = replace(experiment, embedding=embedding).evaluate()
    report = Report.model_validate(found.report)
    assert "prior" in [each.name for each in report.baselines]
    assert [each.code for each in report.warnings].count("related_source") == 1
    assert "cousin" in next(each.message for each in report.warnings if each.code == "related_source")
    fold = found.report["training"]["info"]["folds"][0]
    assert fold["prior"]["related_source"]["toy"]["left_out"] == ["cousin"]
    assert fold["evidence"] == ["prior"]
    assert "exchange" in fold["weights"]
    assert "predicted by a prior" in found.report["methods"]
    assert "Zero-shot effects of a prior" in page(found)


@pytest.mark.parametrize(
    ("by_structure", "used", "is_said"),
    [(True, ["structure", "prior"], True), (True, ["prior"], False), (False, ["structure", "prior"], False)],
)
def test_the_methods_name_the_structure_where_a_fold_used_the_effects_by_it(by_structure, used, is_said):
    data = {"prior": {"members": 7, "by_structure": by_structure}}
    found = evidence_in_words(data, [{"evidence": ["prior"]}, {"evidence": used}])
    assert ("from the sequence and the structure" in found) is is_said
    assert "learned from 7 assays" in found

"""The example of a report: a ridge regression on 120 variants, one split."""

from proteinx_pipelines.contract.report import (
    Baseline,
    Caveat,
    IntervalMethod,
    MetricValue,
    PartMetrics,
    PartSizes,
    Provenance,
    Report,
    ReportData,
    ReportExperiment,
    ReportQuery,
    ReportSplit,
    ReportTraining,
)


def report_example() -> Report:
    """A short report with every part that is always present."""
    return Report(
        summary={"test/spearman": 0.84},
        metrics={
            "train": PartMetrics(n=84, values={"spearman": MetricValue(value=0.95)}),
            "val": PartMetrics(n=12, values={"spearman": MetricValue(value=0.8)}),
            "test": PartMetrics(
                n=24,
                values={"spearman": MetricValue(value=0.84, low=0.71, high=0.92, by_variants=[0.71, 0.92])},
            ),
        },
        interval=IntervalMethod(level=0.95, resamples=800, seed=0, method="percentile", unit="variants"),
        lower_is_better=[],
        in_target_units=True,
        baselines=[
            Baseline(name="mean", title="Mean of the training targets", metrics={"spearman": {"value": None}})
        ],
        warnings=[Caveat(code="few_test_rows", message="The test part has 24 rows; intervals are wide.")],
        experiment=ReportExperiment(
            title="ridge on onehot, GB1",
            query=ReportQuery(
                words="all variants of GB1",
                sql="SELECT ...",
                parameters=["GB1"],
                database="database.db",
                rows=120,
            ),
            changed_flags={"data.source": ["GB1"]},
            flags={"data": {"source": ["GB1"]}, "model": {"name": "ridge"}},
        ),
        data=ReportData(
            n_variants=120, dropped={"missing_score": 0}, sources=[{"source": "GB1", "n_variants": 120}]
        ),
        split=ReportSplit(words="At random.", sizes=[PartSizes(fold=0, train=84, val=12, test=24)]),
        training=ReportTraining(model="ridge", info={"target": "none"}, fold_metrics=[{"train/loss": 0.12}]),
        provenance=Provenance(
            flags_sha256="0" * 64, versions={"python": "3.12.4"}, machine="x86_64", seeds={"split.seed": 0}
        ),
        references=["Notin et al. 2023"],
        methods="120 variants of GB1 were represented by one-hot encoding of every residue.",
    )

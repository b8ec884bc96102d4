"""`artifacts/report.json`: every number of the report. No times and no paths: the same experiment gives the same bytes.

Metrics stand under the names that `evaluate.metrics` lists, so these parts are open dictionaries: `MetricValue` for the
model, plain numbers for folds and baselines.
"""

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from proteinx_pipelines.contract.base import Number, SparseDocument

REPORT_FORMAT: Final = 1
"""Version of reports that this release writes; a report without it, of 0.1.0, has this version too."""


class MetricValue(SparseDocument):
    """One metric of one part of the data."""

    value: Number = None
    """Value of the metric; in cross-validation, pooled over folds and averaged over passes. Null where it is
    undefined.
    """
    fold_mean: Number = None
    """Mean over folds, where there are several."""
    fold_sd: Number = None
    """Standard deviation over folds."""
    low: Number = None
    """Lower end of the confidence interval."""
    high: Number = None
    """Upper end of the confidence interval."""
    by_variants: list[Number] | None = None
    """Ends of the interval that draws single variants, where intervals of both kinds were made."""
    by_positions: list[Number] | None = None
    """Ends of the interval that draws all variants of a position together."""


class PartMetrics(SparseDocument):
    """The metrics of the training, validation or test rows."""

    n: int
    """Number of evaluated rows."""
    values: dict[str, MetricValue]
    """Metric -> value."""
    folds: list[dict[str, Any]] = Field(default_factory=list)
    """One entry per fold: `fold`, `n` and every metric."""


class IntervalMethod(SparseDocument):
    """Method of the confidence intervals."""

    level: float
    """Level, as a fraction."""
    resamples: int
    """Bootstrap resamples; 0 for no intervals."""
    seed: int
    """Seed of the bootstrap."""
    method: str
    """`percentile`."""
    unit: Literal["variants", "positions"] = "variants"
    """What is drawn: single variants, or all variants of a position together. Reports before it drew variants."""
    unit_because: str = ""
    """Reason for the unit, a clause."""
    positions: int | None = None
    """Number of positions of the test rows."""


class NoiseCeiling(SparseDocument):
    """Limit that the noise of replicates sets."""

    variants: int
    """Number of variants measured more than once."""
    noise_deviation: float
    """Standard deviation of one measurement, in the unit of the score."""
    reliability: float
    """Share of the variance of the tested scores that is not noise."""
    pearson: float
    """Expected Pearson correlation of perfect predictions."""


class Ceilings(SparseDocument):
    """Best values that any model can reach on these measurements."""

    ties: dict[str, float] = Field(default_factory=dict)
    """Metric -> best value, where ties among the measured values keep it below 1."""
    noise: NoiseCeiling | None = None
    """Null where too few variants were measured more than once."""


class CoverageEntry(SparseDocument):
    """Coverage of the model's own intervals of one level."""

    level: float
    """Level of the central intervals, as a fraction."""
    inside: float
    """Share of the measured values inside."""
    low: Number = None
    """Lower end of the share's own interval, where there is one."""
    high: Number = None
    """Upper end of the share's own interval."""


class Calibration(SparseDocument):
    """Calibration of a model's own standard deviations."""

    model_config = ConfigDict(extra="allow")

    n: int
    """Number of test rows."""
    coverage: list[CoverageEntry]
    """One entry per level."""


class Baseline(SparseDocument):
    """A simple predictor on the same rows."""

    name: str
    """Name for programs."""
    title: str
    """Name for a person."""
    metrics: dict[str, Any]
    """Metric -> value and interval."""


class Caveat(SparseDocument):
    """A warning about the numbers."""

    code: str
    """Code for programs."""
    message: str
    """Explanation, a sentence."""


class ReportQuery(SparseDocument):
    """The executed query."""

    words: str
    """Description of the selection, in words."""
    sql: str | None = None
    """The SQL."""
    parameters: Any = None
    """Its bound values."""
    database: str | None = None
    """File name of the catalog."""
    rows: int | None = None
    """Number of rows returned."""
    errors: dict[str, dict[str, Any]] | None = None
    """Source -> `column`, `kind`, `divided_by`, `known` (rows) and `impossible` (values that count as unknown) of the
    standard errors of its scores; or `unclear`, columns of which none is used."""


class ReportExperiment(SparseDocument):
    """Description of the experiment."""

    title: str
    """Title for a person."""
    query: ReportQuery
    """The executed query."""
    changed_flags: dict[str, Any]
    """Flags that differ from their defaults, by dotted name."""
    flags: dict[str, Any]
    """The flags that describe the experiment, nested, defaults written out."""


class ReportData(SparseDocument):
    """The variants."""

    model_config = ConfigDict(extra="allow")

    n_variants: int
    """Number of variants."""
    dropped: dict[str, int] = Field(default_factory=dict)
    """Number of rows that each rule removed or merged."""
    sources: list[dict[str, Any]] = Field(default_factory=list)
    """`source`, `n_variants` and `template_length` of each source."""


class PartSizes(SparseDocument):
    """Row counts of one fold's parts."""

    model_config = ConfigDict(extra="allow")

    fold: int
    """Number of the fold, from 0."""
    train: int
    """Training rows."""
    val: int
    """Validation rows."""
    test: int
    """Test rows."""


class ReportSplit(SparseDocument):
    """Description of the split."""

    model_config = ConfigDict(extra="allow")

    words: str
    """Summary, a sentence."""
    sizes: list[PartSizes]
    """One entry per fold."""
    info: dict[str, Any] = Field(default_factory=dict)
    """Details reported by the split stage."""


class ReportTraining(SparseDocument):
    """Description of the training."""

    model: str
    """Name of the model."""
    info: dict[str, Any] = Field(default_factory=dict)
    """Details reported by the train stage."""
    fold_metrics: list[dict[str, Any]] = Field(default_factory=list)
    """Final metrics of each fold."""


class Provenance(SparseDocument):
    """Inputs that the numbers depend on."""

    flags_sha256: str
    """Digest of the flags above."""
    versions: dict[str, str]
    """Software whose version can change a number."""
    machine: str
    """Kind of processor."""
    seeds: dict[str, int]
    """Every seed, by its flag."""


class Report(SparseDocument):
    """The whole report. Fields that a later release adds are kept when it is read and written again."""

    model_config = ConfigDict(extra="allow")

    format: Literal[1] = REPORT_FORMAT
    """Version of this document."""
    summary: dict[str, Number]
    """Headline metrics by name, such as `test/spearman`; null where one is undefined."""
    metrics: dict[str, PartMetrics]
    """`train`, `val` and `test`."""
    interval: IntervalMethod
    """Method of the confidence intervals."""
    lower_is_better: list[str]
    """True if predictions are in the unit of the target."""
    in_target_units: bool
    """True if predictions are in the unit of the target."""
    baselines: list[Baseline]
    """Simple predictors on the same rows."""
    warnings: list[Caveat]
    """Warnings about the numbers."""
    experiment: ReportExperiment
    """Description of the experiment."""
    data: ReportData
    """The variants."""
    split: ReportSplit
    """Description of the split."""
    training: ReportTraining
    """Description of the training."""
    provenance: Provenance
    """Inputs that the numbers depend on."""
    groups: list[dict[str, Any]] = Field(default_factory=list)
    """Metrics by number of mutations and by source."""
    sources: dict[str, Any] | None = None
    """Metrics within each source, and their mean; null where the test rows are of one source."""
    extremes: dict[str, Any] | None = None
    """Variants with the highest measured and predicted values, the closest and the farthest predictions, means by
    position.
    """
    passes: dict[str, Any] | None = None
    """Repeats of a cross-validation; null where there is one pass."""
    classes: dict[str, Any] | None = None
    """AUC and MCC of the binned score; null where there are not two classes (see `probabilities` for more)."""
    probabilities: dict[str, Any] | None = None
    """Class probabilities at each threshold of `transform.bins`; null where the targets are scores."""
    calibration: Calibration | None = None
    """Coverage of predicted intervals; null where the model predicts none."""
    ceilings: Ceilings | None = None
    """Best values that any model can reach, given ties and the noise of replicates."""
    leakage: dict[str, Any] = Field(default_factory=dict)
    """Leakage that was found and accepted."""
    size_curve: list[dict[str, Any]] = Field(default_factory=list)
    """Metrics against the number of training rows, where asked for."""
    references: list[str] = Field(default_factory=list)
    """Publications to cite."""
    methods: str = ""
    """A paragraph for a paper."""
    plots: list[str] = Field(default_factory=list)
    """Names of the pictures."""

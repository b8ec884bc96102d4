"""`proteinx bench`: published protocols run through this project's stages, compared with the published numbers."""

import click

from proteinx_pipelines.cli.lazy import Entry, LazyGroup

_HERE = "proteinx_pipelines.cli"
BENCHMARKS = {
    "proteingym": Entry(
        f"{_HERE}.bench_proteingym:proteingym", "ProteinGym's supervised benchmark.", "Benchmarks"
    ),
    "proteingym-indels": Entry(
        f"{_HERE}.bench_indels:proteingym_indels", "ProteinGym's insertions and deletions.", "Benchmarks"
    ),
    "flip-gb1": Entry(f"{_HERE}.bench_flip_gb1:flip_gb1", "FLIP's splits of GB1.", "Benchmarks"),
    "campaign": Entry(
        f"{_HERE}.bench_campaign:campaign",
        "Campaigns of design, simulated: ALDE's GB1 and others.",
        "Benchmarks",
    ),
    "score": Entry(
        f"{_HERE}.bench_score:score", "Judge anybody's predictions: scores, intervals, folds.", "Benchmarks"
    ),
    "leakage": Entry(
        f"{_HERE}.bench_leakage:leakage", "Published folds that leak, and clean ones.", "Benchmarks"
    ),
}


@click.group(cls=LazyGroup, entries=BENCHMARKS)
def bench() -> None:
    """Run published benchmarks through the same stages as every experiment and print both numbers side by side.

    The exit code is 1 when our value is more than 0.02 below the published one.
    """

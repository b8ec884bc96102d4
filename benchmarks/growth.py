"""How an experiment's six stages grow with its variants: 1,000 to 100,000 made-up double mutants, one-hot and ridge.

Each size is a data set of its own in one catalog. Default flags (bootstrap intervals, baselines, plots), the stages
called one after another in a warm process, without a node.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from measure import Figure, Spread, arguments_of, report
from variants import SOURCE, template, write_csv

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings

STAGES = always_made()


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument(
            "--sizes", type=int, nargs="+", default=[1_000, 3_000, 10_000, 30_000, 100_000]
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"PROTEINX_WORKDIR": folder}, Path(folder))
        for size in options.sizes:
            file = write_csv(Path(folder) / f"{SOURCE}_{size}.csv", size)
            import_file(settings.database_path, file, template=template())
        run(settings, "warm", options.sizes[0])
        found = {
            size: [run(settings, f"v{size}-{k}", size) for k in range(options.repeats)]
            for size in options.sizes
        }
    growth = [
        {
            "variants": size,
            **{stage: Spread.of([one[stage] for one in runs]).median for stage in (*STAGES, "whole")},
        }
        for size, runs in found.items()
    ]
    largest = max(options.sizes)
    whole = Spread.of([one["whole"] for one in found[largest]])
    what = f"six stages, one-hot and ridge, {largest:,} variants"
    report(
        "growth",
        [Figure(f"growth.variants_{largest}", what, "s", whole, facts={"growth": growth})],
        options.out,
    )


def run(settings: Settings, experiment_id: str, n: int) -> dict[str, Any]:
    """Seconds of each stage and of the whole."""
    flags = parse_flags({"data.source": f"{SOURCE}_{n}", "run.resume": False})
    started = time.perf_counter()
    attempt = Attempt(settings, experiment_id, flags)
    seconds = {stage: attempt.publish(attempt.run_stage(stage, attempt.record)).seconds for stage in STAGES}
    attempt.close()
    return {**seconds, "whole": time.perf_counter() - started}


if __name__ == "__main__":
    main()

"""One experiment in a script: no queue, no node, no Dagster.

Imports real measurements into a catalog, runs the six stages in a WORKDIR and prints the metrics. The second time,
everything is reused. `python train.py` does the same from the command line.

    python examples/minimal.py
"""

from importlib import resources
from pathlib import Path

from proteinx_pipelines import open_experiment
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.stages import STAGE_TABLE
from proteinx_pipelines.flags.parsing import parse_file
from proteinx_pipelines.settings import Settings, load_settings

FLAGS = Path(__file__).with_name("flags") / "ridge.json"


def main() -> None:
    """Run the experiment `minimal` in the WORKDIR of the settings (default: ./workdir_compute)."""
    settings = load_settings()
    fill_catalog(settings)
    flags = parse_file(FLAGS)
    attempt = Attempt(settings, "minimal", flags)
    for stage in STAGE_TABLE:
        result = attempt.run_stage(stage, attempt.record)
        entry = attempt.publish(result)
        print(f"{stage:<10} {entry.action:<9} {entry.seconds:6.2f} s")
    attempt.close()
    write_document(
        attempt.directory,
        generation=1,
        attempt=1,
        status="SUCCEEDED",
        flags=flags.nested(),
        pipeline=attempt.pipeline(),
    )
    experiment = open_experiment("minimal")
    for name, value in sorted(experiment.summary.items()):
        print(f"{name:<24} {value}")
    print(experiment.report_path)


def fill_catalog(settings: Settings) -> None:
    """Import one of the data sets that come with the package, in the place of an earlier import."""
    data = resources.files("proteinx_pipelines.demo") / "data" / "GB1_Nisthal_2019.csv.gz"
    with resources.as_file(data) as file:
        import_file(settings.database_path, file, replace=True)


if __name__ == "__main__":
    main()

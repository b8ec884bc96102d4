"""One experiment in a script: no queue, no node, no Dagster.

Imports real measurements into a catalog, runs the six stages in a WORKDIR and prints the metrics. The second time,
everything is reused. `python train.py` does the same from the command line.

    python examples/minimal.py
"""

from importlib import resources
from pathlib import Path

from proteinx_pipelines import open_experiment
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.by_hand import run_by_hand
from proteinx_pipelines.flags.parsing import parse_file
from proteinx_pipelines.settings import load_settings

FLAGS = Path(__file__).with_name("flags") / "ridge.json"


def main() -> None:
    """Run the experiment `minimal` in the WORKDIR of the settings (default: ./workdir_compute)."""
    settings = load_settings()
    data = resources.files("proteinx_pipelines.demo") / "data" / "GB1_Nisthal_2019.csv.gz"
    import_file(settings.database_path, Path(str(data)), replace=True)
    run_by_hand(
        settings,
        "minimal",
        parse_file(FLAGS),
        on_stage=lambda stage, entry: print(f"{stage:<10} {entry.action:<9} {entry.seconds:6.2f} s"),
    )
    experiment = open_experiment("minimal")
    for name, value in experiment.summary.items():
        print(f"{name:<20} {value}")
    tested = experiment.predictions.query("part == 'test'")
    print(tested.nlargest(5, "prediction").to_string(index=False))
    print(experiment.report_path)


if __name__ == "__main__":
    main()

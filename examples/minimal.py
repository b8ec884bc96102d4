"""One experiment in a script: no queue, no node, no Dagster.

Imports real measurements into a catalog, runs the six stages in a WORKDIR and prints the metrics. The second time,
everything is reused. `python train.py` does the same from the command line.

    python examples/minimal.py
"""

from importlib import resources
from pathlib import Path

from proteinx_pipelines import import_file, run_experiment

FLAGS = Path(__file__).with_name("flags") / "ridge.json"


def main() -> None:
    """Run the experiment `minimal` in the WORKDIR of the settings (default: ./workdir_compute)."""
    data = resources.files("proteinx_pipelines.demo") / "data" / "GB1_Nisthal_2019.csv.gz"
    import_file(str(data), replace=True)
    experiment = run_experiment("minimal", FLAGS)
    for stage, action in experiment.document["stages"].items():
        print(f"{stage:<10} {action}")
    for name, value in experiment.summary.items():
        print(f"{name:<20} {value}")
    tested = experiment.predictions.query("part == 'test'")
    print(tested.nlargest(5, "prediction").to_string(index=False))
    print(experiment.report_path)


if __name__ == "__main__":
    main()

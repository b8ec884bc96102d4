"""What runs inside a daemonic child in `test_processes`: a stand-in for Celery's prefork child."""

import json
import sys
import traceback
from pathlib import Path

import building


def train_in_child(folder: Path, runs: list[dict], report: Path) -> None:
    """Train once for each set of flags; write the weights' files and the final metrics, or the error."""
    sys.argv = ["celery", "--app", "worker_of_somebody_else", "worker", "--concurrency=1"]
    results = []
    for number, flags in enumerate(runs):
        try:
            toy = building.ToyExperiment(folder / str(number))
            monitor = building.Notebook()
            training = toy.train(monitor, **flags)
            results.append({"metrics": dict(training.fold_metrics[0]), "heard": monitor.values("val/loss")})
        except BaseException as error:  # noqa: BLE001
            results.append(
                {"error": type(error).__name__, "message": str(error), "trace": traceback.format_exc()}
            )
    report.write_text(json.dumps(results))

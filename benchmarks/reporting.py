"""The evaluate stage with all its pictures, and the page: 813 variants of GB1 and 100,000 doubles, ridge on one-hot.

Everything before is made once; what is timed is `evaluate_models`, and drawing the page from what it left. There is no
peer: no system in the comparison has a report of this kind. Release 0.1.0 took 0.75 s for the small one, on the machine
of the recorded results.
"""

import argparse
import tempfile
from pathlib import Path

from measure import Figure, Goal, arguments_of, in_turn, report

from proteinx_pipelines import demo
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pages.figures.files import FIGURES, pictures_of
from proteinx_pipelines.pages.report import Identity, render_report
from proteinx_pipelines.records import Evaluation
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models

SMALL = Path(demo.__file__).with_name("data") / "GB1_Nisthal_2019.csv.gz"
LARGE = (
    Path(__file__).resolve().parents[2]
    / "shared"
    / "data"
    / "assays"
    / "SPG1_STRSG_Olson_2014_doubles_100k.csv.gz"
)
BEFORE = ("selection", "transform", "embedding", "split", "train")


def main() -> None:
    options = arguments_of(__doc__, lambda p: p.add_argument("--small", action="store_true"))
    is_large = LARGE.is_file() and not options.small
    cases = [("small", SMALL, 0.35), *([("large", LARGE, 2.0)] if is_large else [])]
    figures = [figure for name, file, goal in cases for figure in measured(name, file, goal, options)]
    report("reporting", figures, options.out)


def measured(name: str, file: Path, goal: float, options: argparse.Namespace) -> list[Figure]:
    """Seconds of the stage and of the page, and the page's size."""
    source = file.name.removesuffix(".csv.gz")
    flags = parse_flags({"data.source": source, "model.name": "ridge"})
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(environment={"PROTEINX_WORKDIR": folder})
        attempt = Attempt(
            settings,
            "report",
            flags,
            generation=1,
            number=1,
            payload_ref=str(file),
            on_progress=None,
            confined=False,
        )
        for stage in BEFORE:
            attempt.publish(attempt.run_stage(stage, attempt.record))
        variants, embedding, split, training = map(
            attempt.record, ("transform", "embedding", "split", "train")
        )

        def evaluate() -> Evaluation:
            return evaluate_models(
                variants,
                embedding,
                split,
                training,
                flags,
                directory=attempt.directory,
                monitor=attempt.monitor,
            )

        found = evaluate()
        pictures = pictures_of(found.files[FIGURES])

        def page() -> str:
            return render_report(found.report, pictures, Identity("report"))

        seconds = in_turn({"stage": evaluate, "page": page}, options.repeats)
        size = len(page().encode()) / 1e6
        n = variants.n_variants
        attempt.close()
    what = f"{n:,} variants, ridge"
    facts = {"page_MB": size, "variants": n}
    return [
        Figure(f"reporting.{name}", f"evaluate with pictures, {what}", "s", seconds["stage"],
               goals=(Goal("ours", "<=", goal),), facts=facts),
        Figure(f"reporting.{name}_page", f"drawing the page, {what} ({size:.2f} MB)", "s", seconds["page"],
               goals=(Goal("ours", "<=", 0.1),), facts=facts),
    ]  # fmt: skip


if __name__ == "__main__":
    main()

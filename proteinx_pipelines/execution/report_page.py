"""`artifacts/report.html`: the page of a finished experiment, from its report, its pictures and its own document.

A stage's files are shared by all experiments that have the same key; the page is not, as it names its experiment. So it
is written when an experiment succeeds, whether its evaluation was computed, reused or taken over.
"""

from collections.abc import Iterator

from proteinx_pipelines.execution import code_facts, resources
from proteinx_pipelines.experiment_dir.codecs import design as codec
from proteinx_pipelines.experiment_dir.files import read_json, write_bytes
from proteinx_pipelines.experiment_dir.layout import REPORT_JSON, ExperimentDir
from proteinx_pipelines.pages.figures.files import pictures_of
from proteinx_pipelines.pages.numbers import duration
from proteinx_pipelines.pages.report import Identity, Proposed, render_report
from proteinx_pipelines.pipeline.entries import PipelineFile


def write_report_page(
    directory: ExperimentDir, pipeline: PipelineFile, *, generation: int, node: str = ""
) -> None:
    """Write the page; nothing where the experiment has no report.

    Args:
        directory: of the experiment.
        pipeline: its stages, with the time and duration of their computation.
        generation: of the experiment.
        node: name of the node that ran it; left out when empty.
    """
    evaluated = next((entry for entry in pipeline.stages.values() if REPORT_JSON in entry.files), None)
    if evaluated is None or not directory.report_json.is_file():
        return
    report = read_json(directory.report_json)
    figures = pictures_of(directory.figures.read_bytes()) if directory.figures.is_file() else []
    finished = str(evaluated.origin.get("finished_at", ""))
    identity = Identity(
        experiment_id=directory.experiment_id,
        generation=generation,
        finished=finished[:16].replace("T", " ") + (" UTC" if finished else ""),
        duration=duration(sum(entry.seconds for entry in pipeline.stages.values())),
        node=node,
        resources=tuple(_resources(pipeline)),
    )
    page = render_report(report, figures, identity, _proposed(directory, pipeline))
    write_bytes(directory.report_html, page.encode("utf-8"))


def _proposed(directory: ExperimentDir, pipeline: PipelineFile) -> Proposed | None:
    if "design" not in pipeline.stages:
        return None
    found = codec.load(directory)
    return Proposed(found.proposals.to_pylist(), found.report)


def _resources(pipeline: PipelineFile) -> Iterator[tuple[str, str]]:
    for name, entry in pipeline.stages.items():
        used = ", ".join(filter(None, (duration(entry.seconds), resources.in_words(entry.resources))))
        yield name, f"{used} ({entry.action})"
    for code in dict.fromkeys(code_facts.in_words(entry.code) for entry in pipeline.stages.values()):
        if code:  # several where an earlier version computed a part
            yield "code", code

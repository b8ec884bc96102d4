"""TensorBoard: metrics of an experiment, of models with and without epochs, as event files.

`tensorboard --logdir <WORKDIR>/tensorboard` shows all experiments side by side. (`train.logger=tensorboard` writes what
Lightning itself logs, during a training, into the experiment's own folder.)
"""

import shutil
from pathlib import Path

from proteinx_pipelines.execution.tracking.run import TrackedRun


def send(run: TrackedRun, folder: Path) -> None:
    """Write the event file, in place of one of an earlier try."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    target = folder / run.name
    shutil.rmtree(target, ignore_errors=True)
    writer = EventFileWriter(str(target))
    try:
        for value in run.values():
            summary = Summary(value=[Summary.Value(tag=value.name, simple_value=value.value)])
            writer.add_event(Event(wall_time=value.milliseconds / 1000, step=value.step, summary=summary))
        for name, number in run.summary.items():
            summary = Summary(value=[Summary.Value(tag=f"summary/{name}", simple_value=number)])
            writer.add_event(Event(step=0, summary=summary))
    finally:
        writer.close()

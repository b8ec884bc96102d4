"""Lends this machine to trainings of another node: `proteinx rank`, and a node whose Master asks it to.

It asks at the meeting place, trains its ranks, and asks again: a training that lost a rank begins another attempt, from
its last checkpoint, with the same machines or others.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.stages.train.ddp_launch import START_FILE, running
from proteinx_pipelines.stages.train.job import SPEC_FILE
from proteinx_pipelines.stages.train.meeting import Invitation, Place, ask
from proteinx_pipelines.stages.train.processes import die_with_parent

ASK_S = 1.0
"""Pause between two questions, in seconds."""


def lend(
    place: Place, tell: Callable[[str], None], *, experiment_id: str | None = None, once: bool = False
) -> None:
    """Take parts of trainings until the process is ended.

    Args:
        place: where their nodes open their meetings.
        tell: called with a sentence when a part begins or ends.
        experiment_id: the only one whose trainings are taken; None: any.
        once: return after the first part.

    Raises:
        BackendError: a node refused this machine, which has other versions.
    """
    known = ""
    while True:
        with tempfile.TemporaryDirectory(prefix="proteinx-rank-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            invitation = ask(place, folder, known, experiment_id)
            if invitation is not None:
                known = invitation.job_id
                tell(f"Machine {invitation.rank} of a training.")
                tell(_take_part(place, invitation, folder))
                if once:
                    return
        time.sleep(ASK_S)


def _take_part(place: Place, invitation: Invitation, folder: Path) -> str:
    spec = _moved_here(folder)
    log_path = folder / "ranks.log"
    with (
        log_path.open("wb") as output,
        running(spec, place.environment(invitation.rank), output=output) as process,
    ):
        while process.poll() is None:
            if invitation.is_over():
                return "The training is over."
            time.sleep(0.5)
        if process.returncode == 0:
            return "The training is over."
    text = log_path.read_text(encoding="utf-8", errors="replace").strip()
    invitation.lost(text)
    return f"The ranks ended with status {process.returncode}: {text[-500:]}"


def _moved_here(folder: Path) -> Path:
    """Let the job's folders be below this one; node 0 alone keeps checkpoints and logs."""
    path = folder / SPEC_FILE
    spec = read_json(path)
    start = folder / START_FILE
    spec |= {
        "checkpoints_dir": str(folder / "output"), "logs_dir": str(folder / "output"),
        "checkpoint": str(start) if start.is_file() else None,
    }  # fmt: skip
    write_json(path, spec)
    return path


def main(address: str, experiment_id: str) -> None:
    """Take parts of one experiment's trainings, as long as the process that started this one lives."""
    die_with_parent()

    def tell(text: str) -> None:
        sys.stdout.write(f"{timestamp()} {text}\n")
        sys.stdout.flush()

    tell(f"Asking at {address} for trainings of {experiment_id}.")
    lend(Place.of(address), tell, experiment_id=experiment_id)


if __name__ == "__main__":
    main(*sys.argv[1:])

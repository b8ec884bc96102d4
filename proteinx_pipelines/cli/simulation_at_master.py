"""A simulation as a job of a Master: progress, curves and page, while this process computes."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proteinx_pipelines.campaign.simulation import Asked, Simulation
    from proteinx_pipelines.client.tracking import Tracking
    from proteinx_pipelines.flags.tree import ExperimentFlags


class SimulationReport:
    """What a Master hears of a simulation; nothing where there is none."""

    def __init__(self, run: "Tracking | None") -> None:
        self._run = run

    def progress(self, done: int, total: int, shown: Callable[[int, int], None]) -> None:
        """Tell how many campaigns have ended.

        Raises:
            Cancelled: somebody has cancelled it at the Master; the campaigns that have ended are kept.
        """
        shown(done, total)
        if self._run is not None:
            self._run.progress(done / total, f"{done} of {total} campaigns")

    def end(self, found: "Simulation") -> None:
        """Send the curves, the document and the page."""
        if self._run is None:
            return
        from proteinx_pipelines.pages.simulation import simulation_page

        for each in found.curves:
            for point in each.points:
                name = f"best_so_far/{each.rule.name}_{each.protocol.batch}"
                self._run.log(step=point.measured, **{name: point.mean})
        document = found.document()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (
                ("simulation.html", simulation_page(document)),
                ("simulation.json", json.dumps(document, ensure_ascii=False)),
            ):
                file = Path(folder) / name
                file.write_text(text, encoding="utf-8")
                self._run.save(file)


@contextlib.contextmanager
def reported(url: str | None, flags: "ExperimentFlags", asked: "Asked") -> Iterator[SimulationReport]:
    """Report a simulation to a Master while it runs.

    Args:
        url: of the Master; None reports to nobody.
        flags: of the simulation.
        asked: protocol and comparisons.

    Raises:
        MasterRefused: the token may not submit.
        MasterUnavailable: the Master does not answer.
    """
    if url is None:
        yield SimulationReport(None)
        return
    from proteinx_pipelines.cli.at_master import client_of
    from proteinx_pipelines.flags.changes import differing_from_defaults

    config = {**differing_from_defaults(flags.nested()), **asdict(asked)}
    with client_of(url) as client, client.track(f"simulation-{flags.data.source[0]}", config) as run:
        yield SimulationReport(run)

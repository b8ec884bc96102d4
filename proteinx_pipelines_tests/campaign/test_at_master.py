"""A simulation that reports to a Master: a job with progress, curves and a page, which can be cancelled there."""

import time

import pytest

from proteinx_pipelines.campaign.simulation import Asked, simulate_on
from proteinx_pipelines.cli.simulation_at_master import reported
from proteinx_pipelines.client import Client, tracking
from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines_tests.campaign.conftest import flags_of
from proteinx_pipelines_tests.master.conftest import master, open_master, served  # noqa: F401

ASKED = Asked(20, 2, 12, seeds=2)


def test_a_simulation_is_a_job_with_its_curves_and_its_page(toy, tmp_path, served) -> None:  # noqa: F811
    shown: list[tuple[int, int]] = []
    with reported(served, flags_of(), ASKED) as report:
        found = simulate_on(
            toy, flags_of(), ASKED, folder=tmp_path, processes=1,
            progress=lambda done, total: report.progress(done, total, lambda *counts: shown.append(counts)),
        )  # fmt: skip
        report.end(found)
    assert shown[-1][0] == shown[-1][1] > 0
    with Client(served) as client:
        (job,) = client.jobs(kind="run")
        assert job.experiment_id.startswith("simulation-")
        assert (job.state, job.flags["start"], job.note) == (
            "SUCCEEDED", 20, f"{shown[-1][0]} of {shown[-1][1]} campaigns",
        )  # fmt: skip
        assert {each["path"] for each in client.artifacts(job)} == {"simulation.html", "simulation.json"}
        values = list(client.metrics(job))
        assert {each["step"] for each in values} == {20, 32, 44}
        assert len(values) == 3 * len(found.curves)


def endless(client: Client, url: str) -> None:
    """A simulation that is cancelled when it has begun."""
    with reported(url, flags_of(), ASKED) as report:
        (job,) = client.jobs(kind="run")
        client.cancel(job)
        for done in range(600):
            report.progress(done, 600, lambda *_: None)
            time.sleep(0.05)


def test_a_simulation_is_cancelled_from_the_page(served, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(tracking, "BEAT_S", 0.05)
    with Client(served) as client:
        with pytest.raises(Cancelled):
            endless(client, served)
        (job,) = client.jobs(kind="run")
        assert job.state == "CANCELLED"


def test_without_a_master_nobody_hears_of_it() -> None:
    with reported(None, flags_of(), ASKED) as report:
        report.progress(1, 2, lambda *_: None)

"""The status hash holds every field that the Master's page shows, also for an experiment that needed no run."""

from dataclasses import replace

from proteinx_pipelines.inbox.queue import connect
from proteinx_pipelines.node.intake import Intake
from proteinx_pipelines.node.status import publish_state
from proteinx_pipelines.settings import Settings


def test_an_experiment_that_needed_no_run_stands_behind_its_last_stage(
    settings: Settings, intake: Intake
) -> None:
    intake.ingest(b'{"experiment_id": "a", "flags": {"data": {"source": "GB1"}}}')
    client = connect(settings.redis_url or "")
    current = intake.state.latest("a")
    assert current is not None
    publish_state(settings, current, "accepted")
    assert client.hget("experiments:status:a", "stage") == b"selection"
    publish_state(settings, replace(current, state="SUCCEEDED", progress=1.0), "finished")
    status = client.hgetall("experiments:status:a")
    assert {b"state", b"stage", b"progress", b"generation", b"attempt", b"position"} <= set(status)
    assert status[b"stage"] == b"evaluate"

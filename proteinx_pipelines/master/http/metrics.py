"""`/metrics`: what a Prometheus scrapes, in its text form. The metrics are those of `observation.table`."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.observation.gauges import delivery_samples, node_samples, queue_samples
from proteinx_pipelines.master.observation.observed import Observed
from proteinx_pipelines.observation.exposition import MEDIA_TYPE, Sample, build_info, exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
def get_metrics(request: Request, master: MasterOf, _caller: Reader) -> Response:
    """Metrics in Prometheus' text format."""
    observed: Observed = request.app.state.observed
    with master.database.reading() as connection:
        samples = [
            build_info("master"),
            *queue_samples(connection),
            *node_samples(connection),
            *delivery_samples(connection),
            *observed.samples(connection),
            Sample("proteinx_event_lag_seconds", master.lag.seconds),
        ]
    return Response(exposition(samples, observed.registry), media_type=MEDIA_TYPE)

"""Address of Celery's Redis; that of the Master's is `queue.addresses`."""

from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.settings import Settings


def broker_url(settings: Settings) -> str:
    """URL of Celery's Redis: PROTEINX_BROKER_URL, or the Master's."""
    return settings.broker_url or redis_url(settings)

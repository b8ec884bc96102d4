"""Address of the Redis between a Master and its nodes: REDIS_URL, or the embedded server of this WORKDIR."""

import json

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.settings import Settings


def redis_url(settings: Settings) -> str:
    """URL of the Master's Redis.

    Raises:
        QueueUnavailable: REDIS_URL is unset and no embedded server has been started here.
    """
    if settings.redis_url:
        return settings.redis_url
    path = settings.paths.running("redis")
    if not path.is_file():
        raise QueueUnavailable(
            f"REDIS_URL is not set and no embedded server runs in {settings.workdir}. "
            "Start the node with `proteinx up`, or set REDIS_URL."
        )
    return str(json.loads(path.read_text(encoding="utf-8"))["url"])


def has_address(settings: Settings) -> bool:
    """True if `redis_url` has an address: REDIS_URL is set, or an embedded server has been started here."""
    return bool(settings.redis_url) or settings.paths.running("redis").is_file()

"""Celery's settings, the same in every process of the node: one step worker, one run host, JSON only.

The broker never retries (`acks_late` off) and never redelivers what a worker still holds (visibility time-out of
30 days, prefetch off): the reconciler is the only one that starts an execution again.
"""

from functools import lru_cache

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from proteinx_pipelines.node.talking.addresses import broker_url
from proteinx_pipelines.settings import Settings, load_settings

STEPS_TASK = "proteinx.execute_steps"
RUN_TASK = "proteinx.execute_run"
VISIBILITY_TIMEOUT_S = 30 * 24 * 3600
"""Longer than any training, in seconds: Redis hands a task to a second worker after this time."""


class ForgivingQoS(kombu_redis.QoS):
    """Counts a message as acknowledged also when Redis was away at that moment.

    Kombu leaves it counted as unacknowledged, logs the error and goes on: with one message at a time the process then
    takes none any more, for ever, and does not even notice that its connection is gone. The copy that stays in Redis is
    harmless: it would come again after `VISIBILITY_TIMEOUT_S`, to an attempt that is over.
    """

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message.

        Raises:
            Exception: Redis is away; kombu logs it, and the next command connects again.
        """
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except Exception:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


def steps_queue(settings: Settings) -> str:
    """Queue of the step worker; named per node, so that two nodes on one Redis keep their steps apart."""
    return f"proteinx.{settings.node_name}.steps"


def runs_queue(settings: Settings) -> str:
    """Queue of the run host."""
    return f"proteinx.{settings.node_name}.runs"


def make_app(settings: Settings) -> Celery:
    """The Celery application of this node."""
    kombu_redis.Channel.QoS = ForgivingQoS
    url = broker_url(settings)
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "global_keyprefix": f"proteinx:{settings.node_name}:",
    }
    # Celery's own limit, 20 tries of a second each, loses every run whose Redis is away longer: a caller waiting for a
    # result gives up, and cannot wait again in the same process.
    waiting = {**transport, "retry_policy": {"max_retries": None, "interval_max": 1}}
    app = Celery("proteinx", broker=url, backend=url)
    app.conf.update(
        task_queues=[_queue(steps_queue(settings)), _queue(runs_queue(settings))],
        task_routes={
            STEPS_TASK: {"queue": steps_queue(settings), "routing_key": steps_queue(settings)},
            RUN_TASK: {"queue": runs_queue(settings), "routing_key": runs_queue(settings)},
        },
        broker_transport_options=transport,
        result_backend_transport_options=waiting,
        visibility_timeout=VISIBILITY_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_concurrency=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # stops come from state.db; a control channel would only cost
        worker_hijack_root_logger=False,
        task_track_started=False,
        result_expires=7 * 24 * 3600,
        result_backend_always_retry=True,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
    )
    return app


def _queue(name: str) -> Queue:
    # An exchange of its own: two queues on Celery's default exchange and key would both get every task.
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def current_app() -> Celery:
    """This process's application, from this process's settings."""
    return make_app(load_settings())

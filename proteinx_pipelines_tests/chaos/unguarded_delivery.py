"""Guard off: results lost by Redis are not searched for."""

from proteinx_pipelines.node.talking import outbox

outbox._deliver_lost = lambda _settings, _state: 0

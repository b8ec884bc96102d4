"""Names that a message may use: what the connected nodes publish, taken together."""

from sqlalchemy import Connection, select

from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.master.database.tables import nodes

_TOLD = select(nodes.c.capabilities).where(~nodes.c.is_lost)


def names_known_to_nodes(connection: Connection) -> KnownNames | None:
    """Metrics, embedders, models and split methods of all connected nodes; None while none has said."""
    told = [each for each in connection.execute(_TOLD).scalars() if each]
    if not told:
        return None
    metrics = {name for each in told for name in each.get("metrics", ())}
    embedders = {found["name"] for each in told for found in each.get("embedders", ())}
    models = {name for each in told for name in each.get("models", ())}
    splits = {name for each in told for name in each.get("split_methods", ())}
    return KnownNames(_sorted(metrics), _sorted(embedders), _sorted(models), _sorted(splits))


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))

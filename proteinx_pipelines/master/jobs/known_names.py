"""Names that a message may use, and stores that it may refer to: what the connected nodes publish, taken together."""

from sqlalchemy import Connection, select

from proteinx_pipelines.contract.references import refuse_outside_of, store_references
from proteinx_pipelines.contract.request import ExperimentRequest
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


def refuse_stores_of_nobody(connection: Connection, request: ExperimentRequest) -> None:
    """Refuse references to files of a store that no connected node has.

    Raises:
        MessageError: code `path_not_allowed`. Nothing is refused while no node is connected, or one does not say.
    """
    if not store_references(request):
        return
    told = list(connection.execute(_TOLD).scalars())
    stores = [(each or {}).get("stores") for each in told]
    if told and None not in stores:
        refuse_outside_of(request, _sorted({store for each in stores for store in each or ()}))


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))

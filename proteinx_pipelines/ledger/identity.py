"""Identity of this WORKDIR: a permanent id, and the names that its node has had."""

import json
import secrets

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.ledger.engine import reading, transaction
from proteinx_pipelines.ledger.queries import Queries
from proteinx_pipelines.ledger.tables import facts, node_names, outbox

_ID = "workdir_id"
_RESULTS = 1000  # number of last results searched for the names of an earlier version's node


class Identity(Queries):
    """Facts about the WORKDIR itself."""

    _known_id: str | None = None

    def workdir_id(self) -> str:
        """The id of this WORKDIR, created on first use; it lives as long as `state.db`."""
        if self._known_id is None:
            self._known_id = self._stored_id() or self._new_id()
        return self._known_id

    def known_names(self) -> list[str]:
        """Every name that the node of this WORKDIR has had, as far as recorded."""
        with reading(self.engine) as connection:
            return [str(name) for name in connection.execute(select(node_names.c.name)).scalars()]

    def former_names(self, present: str) -> list[str]:
        """Earlier names of the node of this WORKDIR; the present name is recorded for later."""
        known = self.known_names()
        if present not in known:
            with transaction(self.engine) as connection:
                found = {present, *(_names_in_results(connection) if not known else ())} - set(known)
                for name in sorted(found):
                    connection.execute(insert(node_names).values(name=name, since=timestamp()))
            known += sorted(found)
        return [name for name in known if name != present]

    def _stored_id(self) -> str | None:
        with reading(self.engine) as connection:
            return connection.execute(select(facts.c.value).where(facts.c.name == _ID)).scalar()

    def _new_id(self) -> str:
        try:
            with transaction(self.engine) as connection:
                connection.execute(insert(facts).values(name=_ID, value=secrets.token_hex(8)))
        except IntegrityError:
            pass  # another process has just created it
        found = self._stored_id()
        assert found is not None
        return found


def _names_in_results(connection: Connection) -> set[str]:
    """Names in the results sent by a version that did not record them."""
    query = select(outbox.c.payload).order_by(outbox.c.sequence.desc()).limit(_RESULTS)
    found = set()
    for payload in connection.execute(query).scalars():
        try:
            found.add(str(json.loads(payload)["node"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found

"""What a message says so that a node finds the data of a job.

A node on this machine reads the catalog of a data set by its path below WORKDIR. A node elsewhere fetches it by its
digest, and verifies the bytes.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from proteinx_pipelines.master.datasets.listing import catalog_of, find_dataset
from proteinx_pipelines.master.settings import MasterSettings


def payload_of(
    connection: Connection, settings: MasterSettings, job: Mapping[str, Any], node: str
) -> str | None:
    """The `payload_ref` of a job for one node; None where the node's own catalog is read.

    Args:
        connection: to read from.
        settings: of the Master.
        job: its row.
        node: name of the node that is to have it.

    Raises:
        NotFound: its data set has been removed.
    """
    if job["dataset"] is None:
        return None if job["payload_ref"] is None else str(job["payload_ref"])
    row = find_dataset(connection, job["dataset"])
    catalog = catalog_of(settings, row)
    workdir = settings.node.workdir
    if node == settings.node.node_name and catalog.is_relative_to(workdir):
        return catalog.relative_to(workdir).as_posix()
    return f"px://sha256/{row['understood']['catalog_sha256']}"

"""Lending: the training of another node that a node gives its machine to, as its Master has arranged it."""

from typing import Literal

from proteinx_pipelines.contract.base import Document


class Lending(Document):
    """Text on the key `<list>:lent` of a node; it ends with the key."""

    experiment_id: str
    """Experiment whose training this machine takes part in."""
    job_id: str
    """Its job at the Master."""
    address: str
    """`host:port` at which the node of the experiment opens its meetings."""
    schema_version: Literal[1] = 1
    """Version of this document."""

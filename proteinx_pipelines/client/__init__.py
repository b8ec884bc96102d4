"""Sends experiments to nodes and waits for their results, from a machine that computes nothing.

    from proteinx_pipelines.client import Client

    with Client("redis://node-1:6379/0") as client:
        result = client.run({"data.source": "GB1", "model.name": "ridge"})
        print(result.summary["test/spearman"])

Needs pydantic, and redis for the addresses that it can reach today. It knows the documents (`contract`) and nothing
of what a node does with them.
"""

from proteinx_pipelines.client.client import Client as Client
from proteinx_pipelines.client.client import NodeView as NodeView
from proteinx_pipelines.client.client import Submission as Submission

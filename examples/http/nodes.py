"""Nodes from Python: who works and what each can do, what waits and why.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/nodes.py
"""

from proteinx_pipelines.client import Client


def main() -> None:
    with Client() as client:
        for node in client.nodes():
            print(node["name"], "works" if node["alive"] else "is lost", node["labels"])
        queue = client.queue()
        print(queue["counts"], "paused" if queue["paused"] else "runs")
        for job in client.jobs(state="WAITING", sort="order"):
            print(job.position, job.experiment_id, job.reason)


if __name__ == "__main__":
    main()

"""Groups from Python: a sweep over seeds and models as one call and one table.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/groups.py GB1_Nisthal_2019
"""

import sys

from proteinx_pipelines.client import Client


def main(source: str) -> None:
    with Client() as client:
        sweep = client.sweep(
            "python-sweep", {"data.source": source}, template="baseline",
            grid={"split.seed": [1, 2], "model.name": ["ridge", "gp"]},
        )  # fmt: skip
        print(sweep.counts())
        for job in sweep.jobs():
            print(job.model, job.flags["split"]["seed"], job.state)
            client.cancel(job)  # an example computes nothing; `sweep.wait()` would wait for all of them
        print(len(sweep.results()), "rows")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "GB1_Nisthal_2019")

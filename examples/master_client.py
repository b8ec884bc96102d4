"""A Master from Python: submit from a template, wait, sweep seeds, print one table.

The address is in PROTEINX_MASTER, the token, where one is needed, in PROTEINX_TOKEN.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/master_client.py GB1_Nisthal_2019
"""

import sys

from proteinx_pipelines.client import Client


def main(source: str) -> None:
    with Client() as client:
        job = client.submit({"data.source": source}, template="baseline", priority=5)
        print(f"{job.job_id} is {job.state}: {job.reason}")
        job = client.wait(
            job, on_progress=lambda each: print(" ", each.state, each.stage or "", each.note or "")
        )
        print(
            f"{job.job_id} is {job.state}",
            {name: value for name, value in job.summary.items() if "/" in name},
        )
        sweep = client.sweep(
            "seeds", {"data.source": source}, template="baseline", grid={"split.seed": [1, 2, 3]}
        )
        sweep.wait()
        print(sweep.results())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "GB1_Nisthal_2019")

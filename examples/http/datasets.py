"""Data sets from Python: upload a file, see what was understood, ask for a job on it.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/datasets.py
"""

import tempfile
from pathlib import Path

from proteinx_pipelines.client import Client


def main() -> None:
    with Client() as client, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lab.csv"
        file.write_text("mutant,score\nV2A,1.5\nV3L,0.5\nV4D,0.1\nV5K,0.9\n")
        found = client.upload(file, "lab", template="MVVVVK")
        print(f"understood {found['rows']} rows as the source {found['source']}")
        for problem in found["problems"]:
            print(" ", problem)
        job = client.submit({"data.source": "lab"}, template="baseline", dataset="lab", held=True)
        print(job.state, job.source)
        print(client.cancel(job).state)
        print(any(each["name"] == "lab" for each in client.datasets()))


if __name__ == "__main__":
    main()

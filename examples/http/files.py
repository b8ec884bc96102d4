"""Files from Python: your own training code is a job; what it saves can be read by anybody who may read the job.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/files.py
"""

import tempfile
from pathlib import Path

from proteinx_pipelines.client import Client


def main() -> None:
    with Client() as client, tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.bin"
        weights.write_bytes(b"weights of a model")
        with client.track("my-cnn", {"lr": 0.1}) as run:
            for epoch in range(3):
                run.log(f"epoch {epoch}", loss=1 / (epoch + 1))
                run.progress((epoch + 1) / 3)
            run.save(weights, "model/weights.bin")
        for file in client.artifacts(run.job_id):
            print(file["path"], file["size"])
        print(client.part_of(run.job_id, "model/weights.bin", 11, 100)[0].decode())
        print(client.download(run.job_id, "model/weights.bin", Path(folder) / "copy").read_text())
        print([line["text"] for line in client.logs(run.job_id)])
        print(client.job(run.job_id).state, client.job(run.job_id).summary)


if __name__ == "__main__":
    main()

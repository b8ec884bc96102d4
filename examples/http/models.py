"""Models from Python: the best one, and what it predicts.

PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/models.py V39L V39L:D40G
"""

import sys

from proteinx_pipelines.client import Client


def main(mutants: list[str]) -> None:
    with Client() as client:
        model = max(client.models(), key=lambda each: each["score"] or -1)
        print(model["experiment_id"], model["metric"], model["interval"])
        found = client.predict(model["model_id"], mutants)  # a data frame where pandas is installed
        print(found[["mutant", "prediction", "low", "high"]])


if __name__ == "__main__":
    main(sys.argv[1:] or ["V39L", "V39L:D40G"])

"""One training without a queue: `python train.py --flags FILE --lr 0.001`. The same as `proteinx train`."""

from proteinx_pipelines.cli.lazy import LazyGroup
from proteinx_pipelines.cli.main import COMMANDS

if __name__ == "__main__":
    import sys

    LazyGroup("train.py", entries={"train": COMMANDS["train"]})(
        ["train", *sys.argv[1:]], prog_name="python train.py"
    )

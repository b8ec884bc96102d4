"""One training without a queue: `python train.py --flags FILE --lr 0.001`. The same as `proteinx train`."""

from proteinx_pipelines.cli.train import train

if __name__ == "__main__":
    train(prog_name="python train.py")

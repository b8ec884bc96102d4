"""`train.*`: training of the model. Read by the train stage."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from proteinx_pipelines.flags.base import LARGEST_COUNT, MOST_EPOCHS, FlagGroup, PathText, from_list


class TrainFlags(FlagGroup):
    """Training of the model. Networks are `mlp`, `cnn` and `light_attention`."""

    lr: float = Field(1e-3, gt=0, le=1e30)
    """Learning rate of AdamW, per optimizer step (networks)."""
    batch_size: int = Field(64, ge=1, le=2**20)
    """Variants per optimizer step, over all processes of a distributed training (networks)."""
    max_epochs: int = Field(50, ge=1, le=MOST_EPOCHS)
    """Largest number of passes over the training part (networks)."""
    weight_decay: float = Field(0.01, ge=0, le=1e6)
    """Weight decay of AdamW (networks)."""
    patience: int | None = Field(10, ge=1, le=MOST_EPOCHS)
    """Stop after this many epochs without a better validation loss (networks); never early when null.
    Needs validation rows."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of initial weights and of the order of batches."""
    seeds: int = Field(1, ge=1, le=50)
    """Number of models of each fold, with seeds drawn from `seed`: they predict by their mean, and their spread is a
    deviation for a model without one of its own. One model where a seed has no effect (`ridge`)."""
    parts: int = Field(1, ge=1, le=256)
    """Number of parts that the training rows are dealt into: one network is trained on each, from the same initial
    weights, and the mean of their weights is the model (networks). Parts are shards (`run.shards`); they exchange
    nothing, so the model is worse than one trained on all rows, and the more so the more parts there are."""
    ckpt_path: PathText | None = None
    """Checkpoint to continue from (networks), inside WORKDIR or a data root: a file, or for cross-validation a folder
    with `fold_<k>/last.ckpt`; a relative path starts at the same place as `split.path`. It must come from the same
    training and validation rows.
    """
    target: Literal["none", "standardize", "rank"] = "none"
    """Scaling of the targets, fitted on training rows only: none, zero mean and unit deviation, or normal scores of
    ranks. With `none`, networks standardise targets whose size they cannot learn (deviation outside 0.01 to 10, or a
    mean 10 deviations from 0), and the report states it.
    """
    export_pt: bool = False
    """Also write `embeddings/train.pt`, `val.pt` and `test.pt` (ids, targets, and vectors or
    for `onehot` residue tokens); in `embeddings/fold_<k>/` for cross-validation."""
    num_workers: int = Field(0, ge=0, le=64)
    """Number of processes that load batches (networks); 0 loads in the training process."""
    save_every_n_epochs: int = Field(1, ge=1, le=MOST_EPOCHS)
    """Epochs between checkpoints (networks)."""
    keep_checkpoints: int = Field(2, ge=1, le=10_000)
    """Number of checkpoints kept on disk besides `last.ckpt` (networks): the best by validation loss, or the newest."""
    log_every_n_steps: int = Field(50, ge=1, le=LARGEST_COUNT)
    """Optimizer steps between samples of step metrics in `metrics.jsonl` (networks); epoch metrics are always kept."""
    histogram_every_n_epochs: int = Field(10, ge=0, le=MOST_EPOCHS)
    """Epochs between histograms of the weights (networks); 0 for none."""
    logger: Annotated[tuple[Literal["csv", "tensorboard"], ...], from_list()] = ("csv",)
    """Lightning loggers to write beside `metrics.jsonl`, under `logs/` (networks)."""

    @model_validator(mode="after")
    def _a_checkpoint_is_of_one_seed(self) -> "TrainFlags":
        for name, n in (("seeds", self.seeds), ("parts", self.parts)):
            if self.ckpt_path is not None and n > 1:
                one = name.removesuffix("s")
                raise ValueError(
                    f"`ckpt_path` is given and `{name}` is {n}; a checkpoint is of one {one}: leave out either"
                )
        return self

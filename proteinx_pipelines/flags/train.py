"""`train.*`: training of the model. Read by the train stage."""

from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from proteinx_pipelines.flags.base import LARGEST_COUNT, MOST_EPOCHS, FlagGroup, Name, PathText, from_names


class Span(FlagGroup):
    """A range of numbers that a search may take."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """True if the logarithm is drawn evenly."""
    whole: bool = False
    """True for whole numbers."""

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> "Span":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"found low {self.low:g} and high {self.high:g}; low below high, and above 0 with log"
            )
        return self


CALLBACKS = ("stochastic_weight_averaging", "gradient_accumulation_scheduler", "learning_rate_monitor")
"""Values of `train.callbacks`."""
_MOST_CHOICES = 100
MOST_TRIALS = 1000
"""Most candidates of a search."""


class TrainFlags(FlagGroup):
    """Training of the model. Networks are `mlp`, `cnn`, `light_attention` and those of plugins."""

    lr: float = Field(1e-3, gt=0, le=1e30)
    """Learning rate of the optimizer, per step (networks)."""
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    """Optimizer (networks). `adam`, `sgd` and `rmsprop` add `train.weight_decay` to the gradient, `adamw` decays the
    weights themselves."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of `sgd` and `rmsprop` (networks)."""
    scheduler: Literal["none", "cosine", "linear", "plateau"] = "none"
    """Learning rate over the training (networks): constant; down to 0 at `train.max_epochs` along a cosine or a line;
    or halved after 3 epochs without a better validation loss (`plateau`, which needs validation rows)."""
    warmup_steps: int = Field(0, ge=0, le=LARGEST_COUNT)
    """Optimizer steps in which the learning rate grows from 0 to `train.lr` (networks)."""
    loss: Literal["mse", "huber", "ranking", "bce"] = "mse"
    """Loss (networks): squared error; Huber's, linear beyond `train.huber_delta`; `ranking`, which asks only for the
    order of each pair in a batch, predictions being put on the scale of the targets by a line afterwards; `bce`,
    cross-entropy for targets from 0 to 1 (classes), predictions being probabilities."""
    huber_delta: float = Field(1.0, gt=0, le=1e12)
    """`huber`: error at which the loss becomes linear, in the unit of the scaled target (networks)."""
    metrics: Annotated[tuple[Name, ...], from_names(50)] = ()
    """Metrics of the validation rows after every epoch, besides loss and Spearman's correlation (networks): names of
    `evaluate.metrics`, written as `val/<name>`."""
    callbacks: Annotated[tuple[Literal[CALLBACKS], ...], from_names(len(CALLBACKS))] = ()  # type: ignore[valid-type]
    """Lightning's callbacks by name (networks): `stochastic_weight_averaging` exports the mean of the weights after the
    epochs from `train.swa_start` on; `gradient_accumulation_scheduler` follows `train.accumulate`;
    `learning_rate_monitor` writes the learning rate of every step into the files of `train.logger`."""
    swa_start: float = Field(0.8, ge=0, lt=1)
    """`stochastic_weight_averaging`: fraction of `train.max_epochs` after which weights are averaged (networks)."""
    accumulate: dict[str, Annotated[int, Field(ge=1, le=100_000)]] = Field({}, max_length=1000)
    """`gradient_accumulation_scheduler`: epoch -> number of batches of one optimizer step from then on, such as
    `{"0": 8, "4": 1}` (networks)."""
    batch_size: int = Field(64, ge=1, le=2**20)
    """Variants per optimizer step, over all processes of a distributed training (networks)."""
    max_epochs: int = Field(50, ge=1, le=MOST_EPOCHS)
    """Largest number of passes over the training part (networks)."""
    weight_decay: float = Field(0.01, ge=0, le=1e6)
    """Weight decay of the optimizer (networks)."""
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
    search: dict[Literal["model", "train"], dict[str, Any]] = Field({})
    """Search for the best values of `model.*` and `train.*` flags on the inner folds of `split.inner_folds`, inside the
    training rows of each fold: flag -> list of values, or `{"low", "high", "log", "whole"}` with
    `train.search_trials`, such as `{"model.alpha": [0.1, 1, 10]}`."""
    search_trials: int | None = Field(None, ge=1, le=1000)
    """Candidates of the search, drawn by Optuna (extra `search`); the whole grid when null."""
    search_metric: Name = "spearman"
    """Metric of the inner folds' validation rows by which the search chooses: a name of `evaluate.metrics`."""
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
    logger: Annotated[tuple[Literal["csv", "tensorboard"], ...], from_names()] = ("csv",)
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

    @property
    def space(self) -> dict[str, tuple[Any, ...] | Span]:
        """Dotted flag -> what `search` tries of it."""
        return {
            f"{group}.{name}": each for group, flags in self.search.items() for name, each in flags.items()
        }

    @field_validator("search", mode="before")
    @classmethod
    def _searched_groups_are_known(cls, search: Any) -> Any:
        if isinstance(search, dict) and (
            wrong := [str(name) for name in search if name not in ("model", "train")]
        ):
            raise ValueError(f"names flags of {', '.join(wrong)}; flags of `model` and `train` are expected")
        return search

    @field_validator("search")
    @classmethod
    def _choices_are_lists_or_ranges(cls, search: dict[str, dict[str, Any]]) -> Any:
        return {
            group: {name: _choices(f"{group}.{name}", given) for name, given in flags.items()}
            for group, flags in search.items()
        }

    @model_validator(mode="after")
    def _a_search_ends(self) -> "TrainFlags":
        space = self.space
        spans = [name for name, choices in space.items() if isinstance(choices, Span)]
        if spans and self.search_trials is None:
            raise ValueError(
                f"`search` has ranges ({', '.join(spans)}); give the number of trials, `search_trials`"
            )
        n = prod(len(choices) for choices in space.values() if not isinstance(choices, Span))
        if space and self.search_trials is None and n > MOST_TRIALS:
            raise ValueError(
                f"`search` is a grid of {n}; at most {MOST_TRIALS} are tried: give `search_trials`"
            )
        return self

    @model_validator(mode="after")
    def _a_schedule_has_its_callback(self) -> "TrainFlags":
        if self.accumulate and "gradient_accumulation_scheduler" not in self.callbacks:
            raise ValueError(
                f"`accumulate` is {self.accumulate} and `callbacks` {list(self.callbacks)}; name "
                "gradient_accumulation_scheduler there too"
            )
        if unknown := [
            epoch for epoch in self.accumulate if not (epoch.isdecimal() and epoch == str(int(epoch)))
        ]:
            raise ValueError(
                f"`accumulate` names the epochs {', '.join(unknown)}; numbers from 0 on are expected"
            )
        if self.scheduler == "plateau" and self.warmup_steps:
            raise ValueError("`warmup_steps` does not go with the `scheduler` plateau; leave out either")
        return self


def _choices(name: str, given: Any) -> tuple[Any, ...] | Span:
    """What a search tries of one flag; a list is a tuple here, an object a range."""
    if isinstance(given, list | tuple) and 1 <= len(given) <= _MOST_CHOICES:
        return tuple(given)
    if isinstance(given, Span):
        return given
    if not isinstance(given, dict):
        raise ValueError(
            f"found {str(given)[:40]!r} for {name}; a list of 1 to {_MOST_CHOICES} values, or a range, is expected"
        )
    try:
        return Span.model_validate(given)
    except ValidationError as error:
        found = "; ".join(_in_words(each) for each in error.errors())
        raise ValueError(f"the range of {name}: {found}") from error


def _in_words(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"`{'.'.join(map(str, error['loc']))}`: {error['msg']}"

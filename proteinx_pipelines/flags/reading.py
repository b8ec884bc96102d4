"""Flags that an experiment's model, representation and design read.

A flag that nothing reads (`train.lr` with a ridge) is reported to the author and enters no key, so that it causes no
repeated computation.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.domain.embedders import WEIGHTS_FREE
from proteinx_pipelines.flags.design_reading import design_in_words, unread_of_design
from proteinx_pipelines.flags.trainer import TrainerFlags

if TYPE_CHECKING:
    from proteinx_pipelines.flags.tree import ExperimentFlags

_NETWORK = (
    "train.optimizer", "train.momentum", "train.scheduler", "train.warmup_steps", "train.loss", "train.huber_delta",
    "train.metrics", "train.callbacks", "train.swa_start", "train.accumulate", "model.tasks",
    "train.lr", "train.batch_size", "train.max_epochs", "train.weight_decay", "train.patience", "train.seed",
    "train.seeds", "train.parts", "train.ckpt_path", "train.num_workers", "train.save_every_n_epochs",
    "train.keep_checkpoints", "train.log_every_n_steps", "train.histogram_every_n_epochs", "train.logger", "trainer.*",
)  # fmt: skip
_CONVOLUTIONS = ("model.channels", "model.kernel_size", "model.dropout", *_NETWORK)
READ_BY_MODEL: Mapping[str, tuple[str, ...]] = {
    "ridge": ("model.alpha",),
    "ridge_cv": ("train.seed", "train.seeds"),
    "gp": ("model.kernel", "model.tasks", "model.prior", "train.seed", "train.seeds"),
    "boosting": ("model.prior", "train.seed", "train.seeds"),
    "forest": ("model.prior", "train.seed", "train.seeds"),
    "auto": ("model.prior", "train.seed", "train.seeds"),
    "mlp": ("model.hidden_dims", "model.dropout", "model.activation", *_NETWORK),
    "cnn": _CONVOLUTIONS,
    "light_attention": _CONVOLUTIONS,
    "finetune": (
        "model.backbone",
        "model.weights",
        "model.tuning",
        "model.tuned_layers",
        "model.lora_rank",
        "model.lora_alpha",
        "model.lora_dropout",
        "model.lora_targets",
        "model.checkpointing",
        "model.dropout",
        *_NETWORK,
    ),
}
"""Model -> the flags of `model`, `train` and `trainer` that it reads, in addition to those of every model."""
READ_BY_EVERY_MODEL = (
    "model.name", "train.target", "train.export_pt", "train.search", "train.search_trials", "train.search_metric",
)  # fmt: skip
JOINT = "joint"
LEARN_JOINTLY = tuple(name for name, read in READ_BY_MODEL.items() if "model.tasks" in read)
"""Models of several properties, with `model.tasks` `JOINT`."""
_ONLY_LANGUAGE_MODELS = ("embedding.pooling", "embedding.precision", "embedding.tokens_per_batch")
"""Flags of a language model that built-in representations do not use; others are refused with one."""


def unread(flags: "ExperimentFlags") -> dict[str, Any]:
    """Flags not at their defaults that nothing reads beside the others, by dotted name."""
    return {f"{group}.{name}": value for group, name, value in _unread(flags)}


def effective(flags: "ExperimentFlags") -> "ExperimentFlags":
    """The flags with every unread one at its default: equal for two sets that give the same numbers.

    Without `design.library` an experiment has no design, and a simulated campaign has one: those flags stay.
    """
    groups: dict[str, Any] = {}
    if not reads_trainer(flags.model.name) and flags.trainer.arguments():
        groups["trainer"] = TrainerFlags()
    for group in ("model", "train", "embedding", "design"):
        names = [name for of_group, name, _ in _unread(flags, needs_library=False) if of_group == group]
        if names:
            before = getattr(flags, group)
            fields = type(before).model_fields
            groups[group] = before.model_copy(update={name: fields[name].get_default() for name in names})
    return flags.model_copy(update=groups) if groups else flags


def in_words(flags: "ExperimentFlags", written: "ExperimentFlags | None" = None) -> str:
    """Sentences that name the unread flags; empty when there are none.

    Args:
        flags: of an experiment.
        written: as the author wrote them, if a campaign's defaults were filled in since: those of `design.*` are not
            named.
    """
    unread_here = unread_of_design(flags.design)
    if written is not None:
        given = written.design.model_fields_set
        unread_here = {name: why for name, why in unread_here.items() if name in given}
    of_design = design_in_words(unread_here)
    return " ".join(filter(None, (model_in_words(flags), of_design)))


def model_in_words(flags: "ExperimentFlags") -> str:
    """The sentence about flags of the model, its training and the representation."""
    read = READ_BY_MODEL.get(flags.model.name)
    tried = (
        []
        if read is None
        else [name for name in flags.train.space if name not in (*read, *READ_BY_EVERY_MODEL)]
    )
    names = [*(name for name in unread(flags) if not name.startswith("design.")), *tried]
    if not names:
        return ""
    listed = ", ".join(f"`{name}`" for name in names)
    verb = "is" if len(names) == 1 else "are"
    with_what = flags.model.name
    if all(name.startswith("embedding.") for name in names):
        with_what = flags.embedding.name
    elif any(name.startswith("embedding.") for name in names):
        with_what = f"{flags.model.name} on {flags.embedding.name}"
    return f"{listed} {verb} read by nothing with {with_what}: the result is the same without."


def _unread(flags: "ExperimentFlags", *, needs_library: bool = True) -> Iterator[tuple[str, str, Any]]:
    read = READ_BY_MODEL.get(flags.model.name)
    if read is not None:  # a plugin's model may read any flag
        for group in ("model", "train"):
            yield from _changed(flags, group, except_for=(*read, *READ_BY_EVERY_MODEL))
        if not reads_trainer(flags.model.name):
            yield from (("trainer", name, value) for name, value in flags.trainer.key_arguments().items())
    used = (flags.embedding.name, *flags.embedding.also)
    if set(used) <= {*WEIGHTS_FREE, "file"}:
        for found in _changed(flags, "embedding"):
            if f"embedding.{found[1]}" in _ONLY_LANGUAGE_MODELS:
                yield found
    design = unread_of_design(flags.design, needs_library=needs_library)
    yield from (("design", name, getattr(flags.design, name)) for name in design)


def reads_trainer(model: str) -> bool:
    """True for a model that is trained by Lightning, and reads `trainer.*`; a plugin's counts as one."""
    return "trainer.*" in READ_BY_MODEL.get(model, ("trainer.*",))


def _changed(
    flags: "ExperimentFlags", group: str, except_for: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, Any]]:
    """Flags of a group that are not at their defaults."""
    tree = getattr(flags, group)
    for name, field in type(tree).model_fields.items():
        value = getattr(tree, name)
        if f"{group}.{name}" not in except_for and value != field.get_default():
            yield group, name, value

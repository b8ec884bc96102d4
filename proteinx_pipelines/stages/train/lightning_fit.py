"""Fit a network with Lightning's Trainer: in this process, or in several of their own.

Every `trainer.*` flag is passed to the Trainer unchanged; this module only sets defaults that suit a node.
"""

import logging
import os
import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, GradientAccumulationScheduler, LearningRateMonitor, Timer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn

from proteinx_pipelines.errors import CorruptArtifact, FlagError
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.flags.trainer import NODE_DEFAULTS
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.callbacks import (
    AveragedWeights,
    BestWeights,
    Checkpoints,
    Journal,
    Patience,
    TrainedRows,
    current_weights,
)
from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO, stored_weights
from proteinx_pipelines.stages.train.datamodule import FoldData, end_loader_processes
from proteinx_pipelines.stages.train.ddp_launch import needs_own_processes, run_in_own_processes
from proteinx_pipelines.stages.train.job import NetworkFit, NetworkJob, job_of
from proteinx_pipelines.stages.train.losses import output_of
from proteinx_pipelines.stages.train.network_module import NetworkModule
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.network_tasks import about_tasks, of_target
from proteinx_pipelines.stages.train.processes import may_have_children
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.task import FitTask
from proteinx_pipelines.stages.train.user_lightning import UserLightningModule, UserNetwork

_log = logging.getLogger(__name__)
_ENVIRONMENT = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")
_EXPECTED_WARNINGS = (
    "does not have many workers",  # `train.num_workers` is a flag, and 0 is right for small tables
    "is smaller than the logging interval",  # small data have few steps; epoch metrics are always kept
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # between Lightning and torch: nothing to do here
)
"""Parts of warnings about deliberate choices of this module or of a flag."""


def fit_network(task: FitTask, settings: Mapping[str, Any]) -> NetworkFit:
    """Train the network that the task's model builds from `settings`.

    Raises:
        FlagError: Lightning does not accept `trainer.*`, or the checkpoint is of another network or other rows.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        Stopped: the monitor ended it.
    """
    job = job_of(task, settings)
    _check_targets(job)
    if needs_own_processes(job.flags.trainer.arguments()):
        trained = run_in_own_processes(job, task.monitor, task.directory)
    else:
        trained = run_job(job, task.monitor)
    return replace(trained, output=_output(job, trained), info={**trained.info, **about_tasks(task)})


def _check_targets(job: NetworkJob) -> None:
    """Refuse targets that the loss has no meaning for.

    Raises:
        FlagError: `train.loss` is `bce`, and targets are not from 0 to 1.
    """
    if job.flags.train.loss != "bce":
        return
    if job.train.targets.ndim > 1:
        raise FlagError(
            ["`train.loss` is 'bce', and several tasks are standardised; take mse, huber or ranking"]
        )
    seen = np.concatenate([job.train.targets, job.val.targets])
    if seen.min() < 0 or seen.max() > 1:
        problem = (
            f"`train.loss` is 'bce', and the targets range from {seen.min():.4g} to {seen.max():.4g}; classes or "
            "fractions from 0 to 1 are expected, with `train.target` 'none'. Take another score (`data.score`), or "
            "another loss"
        )
        raise FlagError([problem])


def _output(job: NetworkJob, trained: NetworkFit) -> dict[str, Any]:
    """Settings of the function from the trained network's outputs to predictions."""
    if job.flags.train.loss not in ("ranking", "bce"):
        return {}
    predictor = NetworkPredictor(build_network(job.model, job.settings), job.settings, trained.weights)
    targets = of_target(job.train.targets.astype(np.float64))
    known = np.isfinite(targets)  # with several tasks, rows of a further property alone have none
    outputs = predictor.mean(job.embedding, job.train.rows[known])
    return output_of(job.flags.train, outputs, targets[known])


def run_job(job: NetworkJob, monitor: StageMonitor) -> NetworkFit:
    """Train in this process, alone or as one rank of a distributed training."""
    with ExitStack() as stack:
        stack.enter_context(_without_traces())
        stack.enter_context(_quiet())
        if job.flags.train.num_workers:
            stack.enter_context(may_have_children())
        seed_everything(job.seed, workers=True, verbose=False)
        module = _module(job)
        journal, best = Journal(monitor, job.flags.train), BestWeights()
        averaged = AveragedWeights(job.flags.train)
        trainer = _trainer(
            job, [TrainedRows(job.rows_sha256), journal, best, *_named(job.flags.train, averaged)]
        )
        _fit(trainer, module, job)
        weights = averaged.weights or best.weights or current_weights(module)
        patience = trainer.early_stopping_callback
    return NetworkFit(
        weights={name: value.numpy() for name, value in weights.items()},
        info={
            "n_parameters": sum(value.numel() for value in weights.values()),
            "epochs": len(journal.curve),
            "steps": trainer.global_step,
            "best_epoch": best.epoch,
            **({"averaged_epochs": averaged.n} if averaged.n else {}),
            "stopped_early": patience is not None and patience.stopped_epoch > 0,
            "ended_by": _ended_by(trainer),
            "curve": journal.curve,
        },
    )


def build_network(model: str, settings: Mapping[str, Any]) -> nn.Module:
    """Build a model's untrained network with its module's `build(settings)`."""
    return cast(nn.Module, model_entry(model).load().build(settings))  # type: ignore[attr-defined]


def _module(job: NetworkJob) -> NetworkModule:
    """The Lightning module that trains the job's network; a plugin's `LightningModule` brings its own steps."""
    network = build_network(job.model, job.settings)
    own = isinstance(network, UserNetwork) and isinstance(network.inner, LightningModule)
    return UserLightningModule(cast(UserNetwork, network), job) if own else NetworkModule(network, job)


def trainer_arguments(job: NetworkJob) -> dict[str, Any]:
    """Arguments of the Trainer that fit in JSON: a node's defaults, overridden by the experiment's `trainer.*`.

    The defaults: one device, since heads are small; deterministic; progress goes to the monitor and not to a
    terminal; no validation before training, which would log metrics of an untrained network; rows are dealt
    to processes by `EpochOrder`, whose order survives a restart.
    """
    return {
        **NODE_DEFAULTS,
        "max_epochs": job.flags.train.max_epochs,
        "log_every_n_steps": job.flags.train.log_every_n_steps,
        **job.flags.trainer.arguments(),
        **({} if len(job.val.rows) else {"limit_val_batches": 0}),
    }


def _trainer(job: NetworkJob, callbacks: list[Callback]) -> Trainer:
    arguments, flags = trainer_arguments(job), job.flags.train
    if flags.patience is not None and arguments.get("limit_val_batches") != 0:
        callbacks = [*callbacks, Patience(flags.patience)]
    if arguments.get("enable_checkpointing") is not False:
        callbacks = [*callbacks, Checkpoints(job.checkpoints_dir, flags)]
    try:
        return Trainer(
            **arguments,
            logger=_loggers(job) or False,
            callbacks=callbacks,
            # Explicit, so that Lightning does not act on a cluster's environment variables.
            plugins=[AtomicCheckpointIO(), LightningEnvironment()],
            default_root_dir=job.logs_dir,
        )
    except (MisconfigurationException, ImportError, TypeError, ValueError, RuntimeError) as error:
        raise _refused(job, error) from error


def _named(flags: TrainFlags, averaged: AveragedWeights) -> list[Callback]:
    """Callbacks that `train.callbacks` names."""
    made: dict[str, Callable[[], Callback]] = {
        "stochastic_weight_averaging": lambda: averaged,
        "gradient_accumulation_scheduler": lambda: GradientAccumulationScheduler(
            {int(epoch): n for epoch, n in flags.accumulate.items()}
        ),
        "learning_rate_monitor": lambda: LearningRateMonitor(logging_interval="step"),
    }
    idle = () if flags.accumulate else ("gradient_accumulation_scheduler",)
    return [made[name]() for name in flags.callbacks if name not in idle]


def _ended_by(trainer: Any) -> str:  # its attributes are set by mixins that have no types
    """Name of the flag that ended the training."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    patience = trainer.early_stopping_callback
    if trainer.fast_dev_run:
        return "trainer.fast_dev_run"
    if any((left := timer.time_remaining()) is not None and left <= 0 for timer in timers):
        return "trainer.max_time"
    if trainer.max_steps not in (-1, None) and trainer.global_step >= trainer.max_steps:
        return "trainer.max_steps"
    if patience is not None and patience.stopped_epoch > 0:
        return "train.patience"
    return "train.max_epochs"


def _fit(trainer: Trainer, module: NetworkModule, job: NetworkJob) -> None:
    data = FoldData(job, shards=not trainer_arguments(job)["use_distributed_sampler"])
    if job.checkpoint is not None:
        _check_checkpoint(module, job)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.checkpoint, weights_only=True)
    except MisconfigurationException as error:
        raise _refused(job, error) from error
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        if _said_by_lightning(error):
            raise _refused(job, error) from error
        raise
    finally:
        end_loader_processes([trainer.train_dataloader, trainer.val_dataloaders])


def _said_by_lightning(error: Exception) -> bool:
    """True if Lightning itself raised the error, not code it called: it does so for arguments and checkpoints."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "lightning" in Path(frames[-1].filename).parts


def _check_checkpoint(module: NetworkModule, job: NetworkJob) -> None:
    """Refuse a checkpoint that these flags cannot continue from.

    Raises:
        FlagError: it is damaged, not a checkpoint of a training, of another network or of other rows.
        CorruptArtifact: the same for a checkpoint of an earlier attempt of this experiment; a new attempt starts over.
    """
    assert job.checkpoint is not None
    try:
        stored = AtomicCheckpointIO().load_checkpoint(job.checkpoint)
        weights = stored_weights(stored, job.checkpoint)
    except CorruptArtifact as error:
        if job.checkpoint.is_relative_to(job.checkpoints_dir):
            raise
        # The sender named this checkpoint: repeating the attempt cannot help.
        raise FlagError([f"`train.ckpt_path`: {error}"]) from error
    problems, n_epochs = [], job.flags.train.max_epochs
    ours = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in weights.items()}
    if ours != theirs:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} is of a network with weights {theirs}, these flags make "
            f"{ours}. Use the `model.*` and `embedding.*` flags that it was trained with, or leave it out."
        )
    rows = TrainedRows.stored(stored)
    if rows is None:
        _log.warning(
            "%s does not say which rows it was trained on: whether it knows test rows of this fold is not checked.",
            job.checkpoint,
        )
    elif rows != job.rows_sha256:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} was trained on other rows; it may know this fold's test rows. "
            "Use the `data.*`, `transform.*` and `split.*` flags that it was trained with, or leave it out."
        )
    if "optimizer_states" not in stored or "loops" not in stored:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} holds weights only; the state of the training is expected "
            "too. Name a checkpoint from an experiment's `ckpts/`."
        )
    elif (done := _epochs_behind(stored)) is None:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} does not say how far its training was. Name a checkpoint from an "
            "experiment's `ckpts/`."
        )
    elif done > n_epochs:
        problems.append(
            f"`train.max_epochs` is {n_epochs}, but {job.checkpoint} has {done} epochs behind it; {done} or "
            "more is expected."
        )
    if problems:
        raise FlagError(problems)


def _epochs_behind(stored: Mapping[str, Any]) -> int | None:
    """Number of epochs completed in a checkpoint; None if it is not recorded."""
    place: Any = stored
    for name in ("loops", "fit_loop", "epoch_progress", "current", "processed"):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place if isinstance(place, int) else None


def _loggers(job: NetworkJob) -> list[Logger]:
    """Loggers of `train.logger`; each training gets a new `version_<n>` folder."""
    kinds = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}
    return [kinds[name](job.logs_dir / name, name=job.log_name) for name in job.flags.train.logger]


def _refused(job: NetworkJob, error: Exception) -> FlagError:
    given = job.flags.trainer.arguments()
    return FlagError([f"`trainer.*`: Lightning does not accept {given!r} here: {error}"])


@contextmanager
def _without_traces() -> Iterator[None]:
    """Restore process-wide settings changed by a training: the next experiment runs in the same process."""
    environment = {name: os.environ.get(name) for name in _ENVIRONMENT}
    deterministic = torch.are_deterministic_algorithms_enabled()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        torch.use_deterministic_algorithms(deterministic)
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's greetings (devices, tips) off the terminal, and the warnings of `_EXPECTED_WARNINGS` everywhere.

    Other handlers, such as that of `logs/train.log`, still receive Lightning's messages.
    """
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    own = [
        handler for logger in loggers for handler in logger.handlers if type(handler) is logging.StreamHandler
    ]
    levels = [handler.level for handler in own]
    try:
        for handler in own:
            handler.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for text in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=f".*{text}")
            yield
    finally:
        for handler, level in zip(own, levels, strict=True):
            handler.setLevel(level)

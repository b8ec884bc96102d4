"""Fit a network with Lightning's Trainer: in this process, or in several of their own.

Every `trainer.*` flag is passed to the Trainer unchanged; this module only sets defaults that suit a node.
"""

import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
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

from proteinx_pipelines.errors import FlagError
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
)
from proteinx_pipelines.stages.train.checkpoint_check import check_checkpoint
from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO
from proteinx_pipelines.stages.train.datamodule import FoldData, end_loader_processes
from proteinx_pipelines.stages.train.ddp_launch import needs_own_processes, run_in_own_processes
from proteinx_pipelines.stages.train.job import NetworkFit, NetworkJob, job_of
from proteinx_pipelines.stages.train.losses import output_of
from proteinx_pipelines.stages.train.network_module import NetworkModule
from proteinx_pipelines.stages.train.network_predictor import NetworkPredictor
from proteinx_pipelines.stages.train.network_tasks import about_tasks, of_target
from proteinx_pipelines.stages.train.processes import may_have_children
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.sharded import current_weights, register_sharded
from proteinx_pipelines.stages.train.task import FitTask
from proteinx_pipelines.stages.train.trainer_surroundings import quiet_lightning, without_traces
from proteinx_pipelines.stages.train.user_lightning import UserLightningModule, UserNetwork


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
        stack.enter_context(without_traces())
        stack.enter_context(quiet_lightning())
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
        weights = _chosen(averaged, best, module)
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


def _chosen(averaged: AveragedWeights, best: BestWeights, module: NetworkModule) -> dict[str, torch.Tensor]:
    """The weights to export; every process decides alike, whether it has them or not."""
    if averaged.n:
        return averaged.weights
    return best.weights if best.epoch is not None else current_weights(module)


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
    own = job.flags.trainer.arguments()
    # DeepSpeed writes folders, in which each machine has a part: they can be neither removed nor continued.
    in_folders = str(own.get("strategy")).startswith("deepspeed")
    return {
        **NODE_DEFAULTS,
        "max_epochs": job.flags.train.max_epochs,
        "log_every_n_steps": job.flags.train.log_every_n_steps,
        **own,
        **({} if len(job.val.rows) else {"limit_val_batches": 0}),
        **({"enable_checkpointing": False} if in_folders else {}),
    }


def _trainer(job: NetworkJob, callbacks: list[Callback]) -> Trainer:
    arguments, flags = trainer_arguments(job), job.flags.train
    if flags.patience is not None and arguments.get("limit_val_batches") != 0:
        callbacks = [*callbacks, Patience(flags.patience)]
    if arguments.get("enable_checkpointing") is not False:
        callbacks = [*callbacks, Checkpoints(job.checkpoints_dir, flags)]
    register_sharded()
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
        check_checkpoint(module, job)
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


def _loggers(job: NetworkJob) -> list[Logger]:
    """Loggers of `train.logger`; each training gets a new `version_<n>` folder."""
    kinds = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}
    return [kinds[name](job.logs_dir / name, name=job.log_name) for name in job.flags.train.logger]


def _refused(job: NetworkJob, error: Exception) -> FlagError:
    given = job.flags.trainer.arguments()
    return FlagError([f"`trainer.*`: Lightning does not accept {given!r} here: {error}"])

"""FSDP with whole checkpoints: each process holds a part of the weights and of the optimizer's state.

A checkpoint is one file, as of every other strategy, and continues a training on any number of processes.

Limits: the network is one unit, gathered whole for each forward pass. Gradients, the optimizer's state, and the weights
between passes are what is divided.

Source:
    https://docs.pytorch.org/docs/stable/fsdp.html, "FullStateDictConfig".
"""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import FSDPStrategy, StrategyRegistry

_NETWORK = "network."
"""Before the names of the network's weights in those of its module."""


class ShardedStrategy(FSDPStrategy):
    """Lightning's strategy, which reads checkpoints as the others do.

    Lightning's own takes the path of the first process, which other machines do not have, and reads the file past
    `AtomicCheckpointIO`: without its digest, and with code that it may contain.
    """

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; each process takes its part of weights and optimizer.

        Raises:
            CorruptArtifact: it cannot be read; see `AtomicCheckpointIO`.
        """
        from torch.distributed.fsdp import (
            FullOptimStateDictConfig,
            FullStateDictConfig,
            FullyShardedDataParallel,
            OptimStateKeyType,
            StateDictType,
        )

        checkpoint: dict[str, Any] = self.checkpoint_io.load_checkpoint(
            checkpoint_path, weights_only=weights_only
        )
        model: Any = self.model
        with FullyShardedDataParallel.state_dict_type(
            model, StateDictType.FULL_STATE_DICT, FullStateDictConfig(), FullOptimStateDictConfig()
        ):
            model.load_state_dict(checkpoint["state_dict"])
            for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
                named = FullyShardedDataParallel.rekey_optim_state_dict(
                    state, OptimStateKeyType.PARAM_NAME, model
                )
                optimizer.load_state_dict(
                    FullyShardedDataParallel.optim_state_dict_to_load(model, optimizer, named)
                )
        return checkpoint


def register_sharded() -> None:
    """Let `fsdp` and `fsdp_cpu_offload` mean `ShardedStrategy`; Lightning refuses these names without a GPU."""
    StrategyRegistry.register("fsdp", ShardedStrategy, override=True)
    StrategyRegistry.register("fsdp_cpu_offload", ShardedStrategy, override=True, cpu_offload=True)


def current_weights(module: LightningModule) -> dict[str, torch.Tensor]:
    """Copies of the network's weights, float32, on the CPU; in other processes than the first, FSDP gives none.

    All processes have to call it at once.
    """
    state: Mapping[str, Any] = module.trainer.strategy.lightning_module_state_dict()
    return {
        name.removeprefix(_NETWORK): value.detach().to("cpu", torch.float32, copy=True)
        for name, value in state.items()
        if name.startswith(_NETWORK)
    }


def norm_of_all(module: LightningModule, norm: torch.Tensor) -> torch.Tensor:
    """The norm of all parts of a vector of which each process may hold one.

    Args:
        module: under training.
        norm: of this process's part; float, a scalar.
    """
    strategy: Any = module.trainer.strategy
    if not isinstance(strategy, FSDPStrategy):
        return norm
    return strategy.reduce((norm**2).to(strategy.root_device), reduce_op="sum").sqrt().cpu()

"""A rank of a training with FSDP on processors, which PyTorch can do with two changes, and Lightning refuses.

    python -m proteinx_pipelines_tests.fsdp_on_cpu SPEC

PyTorch looks for a GPU unless it is given a device. What it has gathered it takes to the CPU before it frees or fills
the same memory again; from the CPU that is no copy.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> int:
    """Be a rank."""
    import torch
    from lightning.pytorch.trainer.connectors.accelerator_connector import _AcceleratorConnector
    from torch.distributed import fsdp

    from proteinx_pipelines.stages.train import ddp_process

    init = fsdp.FullyShardedDataParallel.__init__

    def init_on_cpu(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "device_id": torch.device("cpu")})

    fsdp.FullyShardedDataParallel.__init__ = init_on_cpu
    fsdp.FullStateDictConfig = stays(fsdp.FullStateDictConfig)
    fsdp.api.FullOptimStateDictConfig = stays(fsdp.api.FullOptimStateDictConfig)
    _AcceleratorConnector._check_strategy_and_fallback = lambda _self: None
    return ddp_process.main(Path(sys.argv[1]))


def stays(config: Any) -> Callable[..., Any]:
    """The same configuration without the way to the CPU."""
    return lambda **kwargs: config(**{**kwargs, "offload_to_cpu": False})


if __name__ == "__main__":
    sys.exit(main())

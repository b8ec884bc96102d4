"""Checks flags against this machine's limits: more processes than it has cores, packages it lacks.

`flags` checks that flags could work somewhere; this module checks that they can work here. Flags are refused when the
message arrives, before anything is started.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.problems import Problem, sentences
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.user_models import is_network

LOADERS_A_CORE = 4
"""Processes that load batches, per core: they wait most of the time."""
_PACKAGES = (
    ("strategy", "deepspeed", "deepspeed"), ("strategy", "xla", "torch_xla"), ("strategy", "single_xla", "torch_xla"),
    ("strategy", "single_tpu", "torch_xla"), ("accelerator", "tpu", "torch_xla"),
    ("precision", "transformer-engine", "transformer_engine"),
)  # fmt: skip
"""Argument, beginning of its value, the package that it requires."""
_EXTRAS = {"deepspeed": ": `pip install --no-build-isolation 'proteinx-infra[deepspeed]'`"}
"""How to install a package that is an extra: DeepSpeed is built with the PyTorch that is there."""


@dataclass(frozen=True)
class Machine:
    """Resources of a node."""

    cores: int
    gpus: int | None = None
    """None if not counted."""


def this_machine(gpus: int | None = None) -> Machine:
    """The machine of this process: the cores that this process may use."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return Machine(len(usable) or os.cpu_count() or 1, gpus)


def refuse_beyond_machine(flags: ExperimentFlags, machine: Machine) -> None:
    """Refuse flags that ask for more than a machine has.

    Raises:
        FlagError: a flag asks for too much; every problem names the flag and the bound.
    """
    problems = list(problems_of(flags, machine))
    if problems:
        raise FlagError(sentences(problems))


def problems_of(flags: ExperimentFlags, machine: Machine) -> Iterator[Problem]:
    """Problems of the flags on a machine; none for models that read none of the checked flags."""
    if not is_network(flags.model.name):
        return
    arguments = flags.trainer.arguments()
    devices, (most, unit) = _count(arguments.get("devices", 1)), _most_devices(arguments, machine)
    if devices > most:
        yield Problem(
            ("trainer", "devices"), f"found {devices}, expected at most {most}: this node has {most} {unit}"
        )
    loaders, most_loaders = flags.train.num_workers * min(devices, most), LOADERS_A_CORE * machine.cores
    if loaders > most_loaders:
        text = (
            f"{loaders} processes would load batches, expected at most {most_loaders}: this node has "
            f"{machine.cores} cores"
        )
        yield Problem(("train", "num_workers"), text)
    yield from _lacking(arguments)
    yield from _in_folders(flags, arguments)
    if machine.gpus == 0:
        yield from _without_gpu(arguments)


def _most_devices(arguments: dict[str, Any], machine: Machine) -> tuple[int, str]:
    on_gpus = arguments.get("accelerator", "auto") in ("auto", "gpu", "cuda") and machine.gpus
    return (machine.gpus, "GPUs") if on_gpus and machine.gpus else (machine.cores, "cores")


def _count(devices: Any) -> int:
    """Number of devices that a value asks for; 1 where Lightning finds out."""
    if isinstance(devices, str):
        devices = devices.split(",") if "," in devices else devices.lstrip("0") if devices.isdecimal() else 1
    if isinstance(devices, list | tuple):
        return len(devices)
    return max(1, int(devices))


def _lacking(arguments: dict[str, Any]) -> Iterator[Problem]:
    for name, begin, package in _PACKAGES:
        value = arguments.get(name)
        if isinstance(value, str) and value.startswith(begin) and importlib.util.find_spec(package) is None:
            text = f"{value!r} needs the package {package!r}, which is not installed on this node"
            yield Problem(("trainer", name), text + _EXTRAS.get(package, ""))
    if arguments.get("accelerator") == "mps" and sys.platform != "darwin":
        yield Problem(
            ("trainer", "accelerator"), "'mps' is a part of Apple's machines, which this node is none of"
        )


def _in_folders(flags: ExperimentFlags, arguments: dict[str, Any]) -> Iterator[Problem]:
    """What DeepSpeed, which saves parts in folders, does not do: continue, and from stage 3 on give a model."""
    value = arguments.get("strategy")
    if not (isinstance(value, str) and value.startswith("deepspeed")):
        return
    if value.startswith("deepspeed_stage_3"):
        text = f"{value!r} leaves each process a part of the weights, no model; 'fsdp' gathers them: use it"
        yield Problem(("trainer", "strategy"), text)
    if flags.train.ckpt_path is not None:
        text = (
            f"a training with `trainer.strategy` {value!r} does not continue from checkpoints; leave it out, or "
            "take 'ddp' or 'fsdp'"
        )
        yield Problem(("train", "ckpt_path"), text)


def _without_gpu(arguments: dict[str, Any]) -> Iterator[Problem]:
    for name, value in (
        ("accelerator", arguments.get("accelerator")),
        ("strategy", arguments.get("strategy")),
    ):
        if isinstance(value, str) and (value in ("gpu", "cuda") or value.startswith(("fsdp", "deepspeed"))):
            yield Problem(("trainer", name), f"{value!r} needs a GPU, and this node has none; use 'auto'")

"""Flags beyond a node's limits are refused before anything is started: processes, packages, memory."""

from typing import Any

import pytest

from proteinx_pipelines.errors import FlagError, NotEnoughMemory
from proteinx_pipelines.execution.memory import allowed_memory, needs, refuse_beyond_memory
from proteinx_pipelines.execution.node_bounds import Machine, problems_of, this_machine
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings, load_settings

SMALL, LARGE = Machine(cores=4, gpus=0), Machine(cores=64, gpus=8)
GB = 10**9


def problems(machine: Machine, **flags: Any) -> list[str]:
    """Problems of a network's flags on a machine."""
    found = parse_flags({"data.source": "TOY", "model.name": "mlp", **flags})
    return [problem.sentence for problem in problems_of(found, machine)]


@pytest.mark.parametrize("devices", [5, "5", "0,1,2,3,4", [0, 1, 2, 3, 4], "0005"])
def test_more_devices_than_cores_are_refused_with_the_number_of_cores(devices: Any) -> None:
    """A million devices on a processor forked without end."""
    (sentence,) = problems(SMALL, **{"trainer.devices": devices})
    assert sentence == "`trainer.devices`: found 5, expected at most 4: this node has 4 cores."


@pytest.mark.parametrize("devices", [1, 4, "4", "auto", -1, "-1", [0, 1], "0,1"])
def test_as_many_as_there_are_cores_are_taken(devices: Any) -> None:
    assert problems(SMALL, **{"trainer.devices": devices}) == []


def test_where_there_are_gpus_they_are_the_bound_but_for_the_processor() -> None:
    assert problems(LARGE, **{"trainer.devices": 9}) == [
        "`trainer.devices`: found 9, expected at most 8: this node has 8 GPUs."
    ]
    assert problems(LARGE, **{"trainer.devices": 9, "trainer.accelerator": "cpu"}) == []


def test_processes_that_load_batches_are_counted_over_all_devices() -> None:
    (sentence,) = problems(SMALL, **{"train.num_workers": 17})
    assert "17 processes would load batches, expected at most 16: this node has 4 cores" in sentence
    assert problems(SMALL, **{"train.num_workers": 16}) == []
    (sentence,) = problems(SMALL, **{"train.num_workers": 8, "trainer.devices": 4})
    assert "32 processes would load batches" in sentence


@pytest.mark.parametrize(
    ("flag", "value", "package"),
    [("strategy", "deepspeed_stage_2", "deepspeed"), ("strategy", "xla_debug", "torch_xla"),
     ("strategy", "single_tpu", "torch_xla"), ("accelerator", "tpu", "torch_xla"),
     ("precision", "transformer-engine-float16", "transformer_engine")],
)  # fmt: skip
def test_what_needs_a_package_that_is_not_there_is_refused_by_its_name(
    flag: str, value: str, package: str
) -> None:
    sentence, *more = problems(SMALL, **{f"trainer.{flag}": value})
    assert len(more) == (package == "deepspeed")  # which lacks a GPU as well
    assert sentence.startswith(
        f"`trainer.{flag}`: {value!r} needs the package {package!r}, which is not installed on this node"
    )
    assert ("proteinx-infra[deepspeed]" in sentence) == (package == "deepspeed")


@pytest.mark.parametrize(
    ("flag", "value"), [("accelerator", "gpu"), ("accelerator", "cuda"), ("strategy", "fsdp")]
)
def test_what_needs_a_gpu_is_refused_where_there_is_none(flag: str, value: str) -> None:
    (sentence,) = problems(SMALL, **{f"trainer.{flag}": value})
    assert "needs a GPU, and this node has none" in sentence
    assert problems(LARGE, **{f"trainer.{flag}": value}) == []
    assert problems(Machine(cores=4, gpus=None), **{f"trainer.{flag}": value}) == [], (
        "nobody has counted them"
    )


def test_deepspeed_lacks_a_gpu_as_well() -> None:
    *_, sentence = problems(SMALL, **{"trainer.strategy": "deepspeed_stage_2"})
    assert (
        sentence == "`trainer.strategy`: 'deepspeed_stage_2' needs a GPU, and this node has none; use 'auto'."
    )


def test_deepspeed_continues_from_no_checkpoint_and_is_refused_before_anything_is_computed() -> None:
    flags = {"trainer.strategy": "deepspeed_stage_2", "train.ckpt_path": "last.ckpt"}
    found = [each for each in problems(LARGE, **flags) if "ckpt_path" in each]
    assert len(found) == 1
    assert "`trainer.strategy` 'deepspeed_stage_2' does not continue from checkpoints" in found[0]
    assert not problems(LARGE, **{**flags, "trainer.strategy": "fsdp"})


@pytest.mark.parametrize("name", ["deepspeed_stage_3", "deepspeed_stage_3_offload"])
def test_a_strategy_that_gives_nobody_the_whole_weights_is_refused(name: str) -> None:
    sentences = problems(LARGE, **{"trainer.strategy": name})
    assert any("a part of the weights, no model; 'fsdp' gathers them" in sentence for sentence in sentences)
    assert not any("part of the weights" in each for each in problems(LARGE, **{"trainer.strategy": "fsdp"}))


def test_a_model_that_reads_none_of_it_is_not_refused() -> None:
    assert problems(SMALL, **{"model.name": "ridge", "trainer.devices": 200, "train.num_workers": 64}) == []


def test_a_run_by_hand_is_refused_as_well(settings: Settings) -> None:
    many = 256 if this_machine().cores < 256 else 0
    if not many:
        pytest.skip("a machine of 256 cores")
    with pytest.raises(FlagError, match="this node has"):
        run_local_experiment(
            settings, "e", parse_flags({"data.source": "TOY", "model.name": "mlp", "trainer.devices": many})
        )
    assert not (settings.experiments_dir / "e").exists()


def most(rows: int, residues: int, **flags: Any) -> int:
    """Bytes of the stage that needs most."""
    found = parse_flags({"data.source": "TOY", **flags})
    return max(need.bytes for need in needs(found, rows, residues))


ESM = "esm2_t33_650M_UR50D"


@pytest.mark.parametrize(
    ("flags", "rows", "residues", "at_least"),
    [
        ({"model.name": "mlp", "model.hidden_dims": [65536, 65536, 65536, 65536]}, 1000, 100, 200 * GB),
        ({"model.name": "cnn", "model.channels": 65536}, 1000, 100, 130 * GB),
        ({"model.name": "ridge", "embedding.name": ESM, "embedding.pooling": "per_residue"}, 400_000, 500, 300 * GB),
        ({"model.name": "ridge"}, 400_000_000, 500, 199 * GB),
    ],
)  # fmt: skip
def test_an_experiment_that_needs_200_gb_is_told_so(
    flags: dict[str, Any], rows: int, residues: int, at_least: int
) -> None:
    assert most(rows, residues, **flags) > at_least
    found = parse_flags({"data.source": "TOY", **flags})
    with pytest.raises(NotEnoughMemory, match="does not fit into the memory of this node, 64") as caught:
        refuse_beyond_memory(found, rows=rows, residues=residues, allowed=64 * GB)
    assert (caught.value.code, caught.value.retryable) == ("not_enough_memory", False)


@pytest.mark.parametrize(
    "flags",
    [
        {"model.name": "mlp", "model.hidden_dims": [1024, 512]}, {"model.name": "cnn"}, {"model.name": "gp"},
        {"model.name": "light_attention"}, {"embedding.name": ESM}, {"model.name": "boosting"},
        {"model.name": "ridge_cv", "embedding.name": ESM, "embedding.layer": [6, 20, 33]},
    ],
)  # fmt: skip
def test_what_people_do_is_not_refused(flags: dict[str, Any]) -> None:
    """500,000 variants of 300 residues on a laptop of 8 GB: what is counted is the least, and never too much."""
    assert most(500_000, 300, **flags) < 2 * GB


def test_the_machine_s_memory_is_the_limit_where_no_setting_is(tmp_path) -> None:
    assert allowed_memory(load_settings({}, tmp_path)) > 10**8
    assert allowed_memory(load_settings({"PROTEINX_MAX_MEMORY_GB": "1.5"}, tmp_path)) == 1_500_000_000


def test_a_stage_says_so_before_it_starts(settings: Settings, tmp_path) -> None:
    little = load_settings(
        {"PROTEINX_WORKDIR": str(settings.workdir), "PROTEINX_MAX_MEMORY_GB": "0.000002"}, tmp_path
    )
    with pytest.raises(NotEnoughMemory, match="transform needs at least"):
        run_local_experiment(little, "e", parse_flags({"data.source": "TOY"}))
    assert not list((settings.experiments_dir / "e" / "embeddings").glob("*"))

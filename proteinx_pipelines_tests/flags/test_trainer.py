import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import JSON, flag_values

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.schema import known_flags
from proteinx_pipelines.flags.trainer import (
    NODE_DEFAULTS,
    REFUSED_ARGUMENTS,
    TrainerFlags,
    fits,
    trainer_arguments,
)

TRAINER_FLAGS = [flag for flag in known_flags() if flag.group == "trainer"]


def problem_of(**arguments) -> str:
    with pytest.raises(FlagError) as caught:
        parse_flags({"data.source": "GB1", "trainer": arguments})
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accelerator", "cpu"), ("strategy", "ddp"), ("devices", -1), ("devices", [0, 1]), ("devices", "0,1"),
        ("precision", "bf16-mixed"), ("precision", 32), ("max_steps", -1), ("max_time", "00:01:30:00"),
        ("max_time", {"hours": 1, "minutes": 30}), ("limit_train_batches", 0.5), ("limit_train_batches", 10),
        ("gradient_clip_val", 1), ("gradient_clip_val", 0.5), ("deterministic", "warn"), ("deterministic", None),
        ("enable_checkpointing", False), ("val_check_interval", 1.0), ("barebones", False), ("num_nodes", 2),
        ("model_registry", "two\nlines"), ("devices", "auto"),
    ],
)  # fmt: skip
def test_arguments_that_json_can_carry_are_flags(name, value):
    assert parse_flags({"data.source": "GB1", "trainer": {name: value}}).trainer.arguments() == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accelerator", "gpuu"), ("strategy", "ddpp"), ("devices", 0), ("devices", []), ("devices", "one"),
        ("devices", [-1]), ("precision", 8), ("precision", "32 "), ("max_steps", -2), ("max_time", "90 minutes"),
        ("max_time", {"fortnights": 1}), ("max_time", {}), ("limit_train_batches", 1.5), ("limit_train_batches", -1),
        ("limit_train_batches", True), ("gradient_clip_val", -1), ("deterministic", "yes"), ("num_nodes", 0),
        ("enable_checkpointing", 1), ("val_check_interval", 0), ("accumulate_grad_batches", 0),
        ("gradient_clip_algorithm", "max"), ("inference_mode", None), ("max_time", {"days": 10**15}),
        ("devices", 1_000_000), ("devices", "1000000"), ("devices", [256]),
        ("max_steps", 2**31), ("gradient_clip_val", 1e300),
    ],
)  # fmt: skip
def test_what_lightning_would_refuse_is_refused_before_the_training(name, value):
    assert problem_of(**{name: value}).startswith(f"`trainer.{name}`: found {json.dumps(value)}, expected ")


@pytest.mark.parametrize("value", ["0," * 3000 + "1", [0] * 257])
def test_a_list_of_devices_has_an_end(value):
    assert "expected" in problem_of(devices=value)


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("max_epochs", 5, "`train.max_epochs`"),
        ("logger", True, "`train.logger`"),
        ("logger", False, "`train.logger`"),
        ("callbacks", [], "`train.patience`"),
        ("plugins", None, "`trainer.precision`"),
        ("profiler", "simple", "leave it out"),
        ("default_root_dir", "/tmp", "experiment directory"),
        ("strategy", "ddp_spawn", "'ddp' starts fresh ones"),
        ("strategy", "ddp_notebook", "'ddp' starts fresh ones"),
        ("strategy", "ddp_fork_find_unused_parameters_true", "'ddp' starts fresh ones"),
        ("barebones", True, "metrics and checkpoints"),
    ],
)
def test_arguments_that_are_no_flags_are_refused_with_the_reason(name, value, pointer):
    assert pointer in problem_of(**{name: value})


def test_an_unknown_argument_is_refused_with_the_nearest_name():
    assert (
        problem_of(acelerator="cpu")
        == "`trainer.acelerator`: unknown flag; did you mean `trainer.accelerator`?"
    )


def test_a_group_made_in_python_is_checked_too():
    assert TrainerFlags(devices=2).arguments() == {"devices": 2}
    with pytest.raises(ValidationError, match=r"train\.max_epochs"):
        TrainerFlags(max_epochs=3)


def test_all_batches_and_one_batch_have_different_keys():
    """1.0 and 1 are one number to a key, but all batches and one batch to the Trainer."""
    all_batches, one_batch, half = (
        parse_flags({"data.source": "a", "model.name": "mlp", "trainer.limit_train_batches": value}).groups(
            ["trainer"]
        )["trainer"]
        for value in (1.0, 1, 0.5)
    )
    assert all_batches != one_batch
    assert half == {"limit_train_batches": 0.5}


@settings(max_examples=50)
@given(data=st.data())
def test_a_value_that_the_schema_describes_fits_it(data):
    flag = data.draw(st.sampled_from(TRAINER_FLAGS))
    assert fits(flag.schema, data.draw(flag_values(flag)))


@settings(max_examples=50)
@given(value=JSON, flag=st.sampled_from(TRAINER_FLAGS))
def test_fitting_takes_any_json_value(value, flag):
    assert fits(flag.schema, value) in (True, False)


@pytest.mark.slow
def test_the_snapshot_is_the_signature_of_the_installed_lightning():
    """After an update of Lightning: `python -m proteinx_pipelines.flags.snapshot`, and read the difference."""
    import inspect

    from lightning.pytorch import Trainer

    from proteinx_pipelines.flags.snapshot import trainer_schemas

    packaged = {name: {**schema} for name, schema in trainer_arguments().items()}
    for name, schema in trainer_schemas().items():
        expected = json.loads(json.dumps(schema))
        assert packaged[name] == {**expected, "default": NODE_DEFAULTS.get(name, expected["default"])}
    assert set(packaged) | set(REFUSED_ARGUMENTS) == set(inspect.signature(Trainer.__init__).parameters) - {
        "self"
    }


@pytest.mark.slow
def test_every_choice_of_the_snapshot_makes_a_trainer():
    """Those that need no special hardware: the narrowed types must not promise what Lightning refuses."""
    from lightning.pytorch import Trainer

    for name, values in {
        "devices": (1, 2, "auto", "1", "2"), "max_time": ("00:01:30:00", {"hours": 1}), "max_steps": (-1, 0, 5),
        "precision": (64, 32, "64-true", "32-true", "bf16-mixed", "bf16", None), "fast_dev_run": (True, 0, 3),
        "limit_train_batches": (0, 1, 5, 0.0, 0.5, 1.0, None), "overfit_batches": (0, 2, 0.5), "min_steps": (0, None),
        "val_check_interval": (1, 5, 0.5, 1.0, "00:00:10:00", {"seconds": 5}), "num_sanity_val_steps": (-1, 0, 2),
        "gradient_clip_val": (0, 0.5, None), "gradient_clip_algorithm": ("norm", "value", None),
        "deterministic": (True, False, None), "accumulate_grad_batches": (1, 4), "log_every_n_steps": (0, 1, None),
    }.items():  # fmt: skip
        for value in values:
            assert fits(trainer_arguments()[name], value)
            Trainer(**{"accelerator": "cpu", "logger": False, name: value})


@pytest.mark.slow
def test_the_documented_defaults_are_those_of_the_train_stage():
    from proteinx_pipelines.stages.train.lightning_fit import trainer_arguments as arguments_of

    flags = parse_flags({"data.source": "GB1", "train.log_every_n_steps": 7})
    given = arguments_of(SimpleNamespace(flags=flags, val=SimpleNamespace(rows=[0])))
    assert given == {**NODE_DEFAULTS, "max_epochs": flags.train.max_epochs, "log_every_n_steps": 7}

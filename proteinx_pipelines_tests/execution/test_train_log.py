"""`logs/train.log`: once, it was empty in 87 of 88 experiments."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.execution import train_log as train_log_module
from proteinx_pipelines.execution.printed import LINE_CHARS, printed_lines
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.execution.train_log import RECORD_CHARS, TrainLog
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings

FLAGS: dict[str, Any] = {
    "data": {"source": "TOY"},
    "split": {"method": "random"},
    "evaluate": {"bootstrap": 10, "plots": False},
}


def text_of(directory: ExperimentDir) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in directory.train_logs if path.is_file())


def test_the_log_tells_stage_by_stage_what_was_done_and_how_long_it_took(settings: Settings) -> None:
    finished = run_local_experiment(settings, "e", parse_flags(FLAGS))
    lines = text_of(finished.directory).splitlines()
    for stage in always_made():
        own = [line for line in lines if f"INFO {stage} " in line]
        assert own[0].endswith("begins."), stage
        assert " computed in " in own[-1], stage
    run_local_experiment(settings, "e", parse_flags(FLAGS))
    assert text_of(finished.directory).count("reused, computed by e.") == len(always_made())


def test_what_plugins_log_print_and_warn_of_is_there(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """User code ran inside stages, and what it said was nowhere in the experiment."""

    def chatty(measured: Any, predicted: Any) -> float:
        logging.getLogger("my_lab.metric").info("informs of %d rows", len(measured))
        logging.getLogger("my_lab.metric").debug("whispers")
        print("prints to stdout")  # noqa: T201
        print("prints to stderr", file=sys.stderr)  # noqa: T201
        warnings.warn("warns", UserWarning, stacklevel=1)
        return 0.5

    metrics.register("chatty", chatty)
    try:
        flags = {**FLAGS, "evaluate": {**FLAGS["evaluate"], "metrics": ["spearman", "chatty"]}}
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            chatty([1], [1])  # shown once in this process: the log has it all the same
            finished = run_local_experiment(settings, "e", parse_flags(flags))
    finally:
        metrics._registered.pop("chatty")
    text = text_of(finished.directory)
    for said in (
        "INFO evaluate my_lab.metric: informs of",
        "INFO evaluate stdout: prints to stdout",
        "INFO evaluate stderr: prints to stderr",
        "WARNING evaluate py.warnings:",
        "UserWarning: warns",
    ):
        assert said in text, said
    assert "whispers" not in text
    printed = capfd.readouterr()
    assert "prints to stdout" in printed.out
    assert "prints to stderr" in printed.err


def test_lightning_is_heard_in_the_log_and_not_in_the_terminal(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    flags = {
        **FLAGS,
        "model": {"name": "mlp", "hidden_dims": [4]},
        "train": {"max_epochs": 2, "patience": None},
        "trainer": {"accelerator": "cpu"},
    }
    finished = run_local_experiment(settings, "e", parse_flags(flags))
    said = [line for line in text_of(finished.directory).splitlines() if "INFO train lightning" in line]
    assert any("`Trainer.fit` stopped: `max_epochs=2` reached" in line for line in said), said
    printed = capfd.readouterr()
    assert "Trainer.fit" not in printed.err + printed.out


def test_a_warning_is_one_line_where_warnings_are_logged_as_celery_does(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        try:
            log = TrainLog(tmp_path / "train.log")
            with log.stage("train"):
                warnings.warn("once", UserWarning, stacklevel=1)
            log.close()
        finally:
            logging.captureWarnings(capture=False)
    assert (tmp_path / "train.log").read_text(encoding="utf-8").count("once") == 1


def test_a_stage_that_fails_leaves_its_trace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("in a stage")

    monkeypatch.setattr("proteinx_pipelines.stages.transform.tasks.transformed", broken)
    with pytest.raises(ZeroDivisionError):
        run_local_experiment(settings, "e", parse_flags(FLAGS))
    text = text_of(ExperimentDir(settings.experiments_dir, "e"))
    assert "ERROR transform" in text
    assert "Traceback" in text
    assert "ZeroDivisionError: in a stage" in text


def test_a_stop_is_a_line_and_no_trace(settings: Settings) -> None:
    def listen(stage: str, _fraction: float, _note: str) -> None:
        if stage == "train":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_local_experiment(settings, "e", parse_flags(FLAGS), on_progress=listen)
    text = text_of(ExperimentDir(settings.experiments_dir, "e"))
    assert "train stopped: enough" in text
    assert "Traceback" not in text


def test_a_loud_experiment_keeps_its_newest_lines_in_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_log_module, "MAX_BYTES", 10_000)
    directory = ExperimentDir(tmp_path, "e")
    log = TrainLog(directory.train_log)
    for number in range(2_000):
        logging.getLogger("loud").info("line %d", number)
    log.close()
    sizes = [path.stat().st_size for path in directory.train_logs]
    assert max(sizes) <= 10_000
    assert len(list(directory.logs_dir.iterdir())) == 2
    numbers = [int(line.rpartition(" ")[2]) for line in text_of(directory).splitlines()]
    assert numbers == list(range(numbers[0], 2_000))


def test_one_record_without_end_is_bounded_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", "canary-4711")
    log = TrainLog(tmp_path / "train.log")
    logging.getLogger("loud").error("%s canary-4711 %s", "a" * RECORD_CHARS, "b" * 10 * RECORD_CHARS)
    logging.getLogger("loud").error("key canary-4711")
    log.close()
    text = (tmp_path / "train.log").read_text(encoding="utf-8")
    assert len(text) < RECORD_CHARS + 500
    assert "characters left out" in text
    assert "canary" not in text


def test_everything_is_as_before_afterwards(tmp_path: Path) -> None:
    root, named = logging.getLogger(), logging.getLogger("lightning.pytorch")

    def standing() -> tuple[Any, ...]:
        handlers = [(handler, handler.level) for logger in (root, named) for handler in logger.handlers]
        return root.level, named.level, handlers, warnings.showwarning, sys.stdout, sys.stderr

    before = standing()
    log = TrainLog(tmp_path / "train.log")
    with log.stage("train"):
        assert sys.stdout is not before[4]
    log.close()
    assert standing() == before


def test_a_terminal_hears_no_more_than_before(tmp_path: Path) -> None:
    """The root logger listens from INFO on for the file; what else listens there does not get it."""
    others: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = others.append  # type: ignore[method-assign,assignment]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    try:
        log = TrainLog(tmp_path / "train.log")
        logging.getLogger("lab").info("a")
        logging.getLogger("lab").warning("b")
        log.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [record.getMessage() for record in others] == ["b"]
    assert "INFO lab: a" in (tmp_path / "train.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (["a\nb", "c\n"], ["a", "bc"]),
        (["10%\r", "50%\r", "100%\n"], ["100%"]),
        (["\r\x1b[2K  train 40%", "\r\x1b[2K"], []),
        (["a\r\nb\r\n"], ["a", "b"]),
        (["no end"], ["no end"]),
        (["\n", "  \n"], []),
        (["x" * (LINE_CHARS + 5)], ["x" * LINE_CHARS, "x" * 5]),
    ],
)
def test_printed_text_becomes_lines(written: list[str], lines: list[str]) -> None:
    told: list[str] = []
    with printed_lines(lambda _stream, line: told.append(line)):
        for text in written:
            sys.stdout.write(text)
    assert told == lines


def test_who_kept_the_stream_may_go_on_writing() -> None:
    told: list[str] = []
    with printed_lines(lambda _stream, line: told.append(line)):
        kept = sys.stdout
    kept.write("later\n")
    assert told == []


def test_a_full_disk_does_not_end_an_experiment_because_of_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train_log_module._LogFile, "_open", lambda self: open(os.devnull, "w"))  # noqa: SIM115, PTH123
    monkeypatch.setattr("logging.StreamHandler.emit", full)
    run_local_experiment(settings, "e", parse_flags(FLAGS))

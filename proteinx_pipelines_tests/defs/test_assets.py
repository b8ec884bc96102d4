"""Handling of a stage's result, checks and errors by its asset; Dagster is real, in this process."""

import dagster as dg
import pytest

from proteinx_pipelines.defs import checks
from proteinx_pipelines.defs.assets import stage_assets
from proteinx_pipelines.defs.io_manager import ExperimentDirIOManager
from proteinx_pipelines.defs.metadata import PICTURES
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline import stages as rows
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings

STAGES = always_made()


def materialize(settings: Settings, source: str = "TOY") -> tuple[dg.ExecuteInProcessResult, ExperimentDir]:
    """A run started by hand: all six assets of one partition."""
    directory = ExperimentDir(settings.experiments_dir, "hand")
    write_json(directory.flags, parse_flags({"data.source": source, "evaluate.bootstrap": 0}).nested())
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("experiment_id", ["hand"])
        resources = {"experiment_dir": ExperimentDirIOManager()}
        return (
            dg.materialize(
                stage_assets(),
                instance=instance,
                partition_key="hand",
                resources=resources,
                raise_on_error=False,
            ),
            directory,
        )


@pytest.mark.filterwarnings(
    "error::dagster.BetaWarning",
    "error:.*deprecated.*",
    # Dagster itself asks Pydantic in the old way for the fields of a resource that has none.
    "ignore:The `__fields__` attribute is deprecated:pydantic.warnings.PydanticDeprecatedSince20",
)
def test_a_run_by_hand_writes_the_directory_and_shows_what_a_person_wants_to_see(settings: Settings) -> None:
    result, directory = materialize(settings)
    assert result.success
    assert list(read_pipeline(directory.pipeline).stages) == list(STAGES)
    metadata = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert {"rows", "query", "scores"} <= set(metadata["selection"])
    assert {"variants", "width"} <= set(metadata["embedding"])
    assert {"sizes"} <= set(metadata["split"])
    assert {"test/spearman", "measured versus predicted", "report", "files"} <= set(metadata["evaluate"])
    pictures = {name for name in metadata["evaluate"] if name in set(PICTURES.values())}
    drawn = sorted(path.name for path in directory.artifacts_dir.glob("plots/*.svg"))
    assert pictures == {PICTURES[f"plots/{name}"] for name in drawn}  # the UI shows what the report shows
    assert {"measured versus predicted", "split"} <= pictures
    for name in pictures:
        text = str(metadata["evaluate"][name].value)
        assert text.startswith(f"![{name}](/experiments/{directory.experiment_id}/artifacts/plots/")
        assert len(text) < 1_000  # the UI shows Markdown inline below that
    assert next(iter(metadata["evaluate"])).startswith("test/")  # what a person came for is first
    assert all({"action", "key", "key inputs"} <= set(found) for found in metadata.values())
    assert len(result.get_asset_check_evaluations()) == sum(
        len(checks.checks_of(name)) for name in rows.STAGES
    )


def test_a_stage_whose_check_fails_is_not_published_and_stops_what_is_behind_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published stage would be reused by the next attempt, and its check would not be asked again."""
    broken = {**checks._CHECKS["split"]}
    broken["parts_are_disjoint"] = ("Never.", lambda _record, _inputs: "made to fail")
    monkeypatch.setitem(checks._CHECKS, "split", broken)
    result, directory = materialize(settings)
    assert not result.success
    assert "split" not in read_pipeline(directory.pipeline).stages
    assert not (directory.splits_dir / "train_ids.json").exists()
    assert "train" not in read_pipeline(directory.pipeline).stages
    failed = [found for found in result.get_asset_check_evaluations() if not found.passed]
    assert [found.check_name for found in failed] == ["parts_are_disjoint"]


def test_an_error_of_the_sender_names_its_code_in_dagsters_log(settings: Settings) -> None:
    result, _directory = materialize(settings, source="NO_SUCH")
    failures = [event for event in result.all_events if event.is_step_failure]
    assert "unknown_source" in str(failures[0].event_specific_data)
    (seen,) = result.get_asset_observation_events()  # on the partition's own page, not in a run's log alone
    facts = seen.asset_observation_data.asset_observation.metadata
    assert facts["error code"].value == "unknown_source"
    assert "NO_SUCH" in facts["error"].value

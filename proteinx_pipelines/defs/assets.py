"""The assets: thin, all of one shape. `stages` computes a stage; `execution` stores it.

Each asset asks its run's attempt to reuse, take over or compute the stage, shows a person what came out, and guards the
stages behind it with blocking checks. Checks travel with the asset's own step, so a run has exactly the
stages it needs.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from proteinx_pipelines.defs.attempts import attempt_of, note_failure
from proteinx_pipelines.defs.checks import check_results, checks_of, unasked_results
from proteinx_pipelines.defs.metadata import describe
from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.errors import CheckFailed, ProteinxError
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.redaction import redact_and_cut


def _asset(name: str) -> dg.AssetsDefinition:
    stage = STAGES[name]

    @dg.asset(
        name=name,
        description=stage.description,
        partitions_def=experiment_partitions,
        group_name="experiment",
        kinds=set(stage.kinds),
        code_version=COMPUTATIONS[name].version,
        io_manager_key="experiment_dir",
        ins={source: dg.AssetIn(source) for source in stage.reads},
        output_required=stage.asked_for_by is None,
        check_specs=[
            dg.AssetCheckSpec(check, asset=name, blocking=True, description=text)
            for check, text in checks_of(name).items()
        ],
    )
    def _materialize(context: dg.AssetExecutionContext, **inputs: Any) -> Iterator[Any]:
        attempt = attempt_of(context.instance, context.run)
        if not stage.is_wanted(attempt.flags):
            yield from unasked_results(stage, context.partition_key)
            return
        try:
            result = attempt.run_stage(name, inputs.__getitem__)
            checked = list(check_results(name, result.record, inputs, context.partition_key))
            facts = describe(name, result, attempt)
        except Exception as error:
            note_failure(context.run.run_id, error)
            yield _failure_shown(name, context.partition_key, error)
            if isinstance(error, ProteinxError):
                raise dg.Failure(description=f"{error.code}: {error}", allow_retries=False) from error
            raise
        failed = [check for check in checked if not check.passed]
        if failed:
            # Nothing is published: a stage that fails its checks must not be reused by the next attempt.
            refusal = CheckFailed(_in_words(failed))
            note_failure(context.run.run_id, refusal)
            yield _failure_shown(name, context.partition_key, refusal)
            yield from checked
            raise dg.Failure(description=f"{refusal.code}: {refusal}", allow_retries=False)
        yield dg.MaterializeResult(
            value=result,
            metadata=facts,
            data_version=dg.DataVersion(result.entry.digests["all"]),
            check_results=checked,
        )

    return _materialize


def _failure_shown(name: str, partition: str, error: Exception) -> dg.AssetObservation:
    """Error for the partition's own page: otherwise that page is only red, and the error is in a run's log."""
    code = error.code if isinstance(error, ProteinxError) else "stage_failed"
    text = redact_and_cut(str(error) or repr(error))
    return dg.AssetObservation(name, partition=partition, metadata={"error": text, "error code": code})


def _in_words(failed: list[dg.AssetCheckResult]) -> str:
    return "; ".join(f"{check.check_name}: {check.description}" for check in failed)


def stage_assets() -> list[dg.AssetsDefinition]:
    """One asset a stage: its inputs, checks and version cannot differ from its stage's."""
    return [_asset(name) for name in STAGES]

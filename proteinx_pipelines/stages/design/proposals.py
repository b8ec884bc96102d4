"""Proposals: the batch chosen from a predicted library, with well, reason and rank stability of each variant."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design import shortfalls
from proteinx_pipelines.stages.design.account import diversity, unknown
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.batch import wells
from proteinx_pipelines.stages.design.candidates import Candidates, joined
from proteinx_pipelines.stages.design.choosing import choose_batch
from proteinx_pipelines.stages.design.codons import clones, library_facts, mutated_dna
from proteinx_pipelines.stages.design.describe import Measured, predictions_table, reasons
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel
from proteinx_pipelines.stages.design.objective import Objective, objective_columns
from proteinx_pipelines.stages.design.properties import with_further
from proteinx_pipelines.stages.design.stability import stability


def propose(
    predicted: Predicted, measured: Measured, model: FinalModel, flags: DesignFlags, *, offset: int,
    folds: Sequence[Path], objective: Objective | None = None,
) -> tuple[pa.Table, dict[str, Any]]:  # fmt: skip
    """Choose a batch.

    Args:
        predicted: a library and its predictions.
        measured: of the same source.
        model: the final model.
        flags: `design.*`, with the target's goal.
        offset: position in the user's numbering minus position in the template.
        folds: folders of the cross-validated models, for the stability.
        objective: goals of several properties, if there are any.

    Returns:
        `rank`, `well`, then the columns of a prediction, then `acquisition`, `stability` (share of other models
        with the variant among their own best `design.n`) and `reason`; and `dna` with a coding sequence. Controls come
        first, with rank 0. And facts for the report.
    """
    choice = choose_batch(predicted, measured, model, flags, objective)
    chosen = choice.rows
    picked = predicted.candidates.take(chosen)
    mean, deviation = predicted.mean[chosen], predicted.deviation[chosen]
    table = predictions_table(
        picked,
        mean,
        deviation,
        measured,
        model.intervals,
        wild_type=predicted.wild_type,
        offset=offset,
        goal=flags.goal,
    )
    table = with_further(table, {name: (m[chosen], d[chosen]) for name, (m, d) in predicted.further.items()})
    if objective is not None and not objective.is_single:
        table = objective_columns(table, objective, predicted, chosen)
    stable, by_kind = stability(predicted, chosen, model, flags, folds)
    why = reasons(
        picked,
        mean.tolist(),
        deviation.tolist(),
        table.column("p_better_than_wild_type").to_pylist(),
        measured,
        offset,
    )
    for name, (m, d) in predicted.further.items():
        why = [
            f"{text}; {name} {m[row]:.3g} ± {d[row]:.2g}"
            for text, row in zip(why, chosen.tolist(), strict=True)
        ]
    why = [
        f"to learn: among the least certain; {text}" if explored else text
        for text, explored in zip(why, choice.explored.tolist(), strict=True)
    ]
    controls = _controls(measured, flags)
    table = table.append_column("acquisition", pa.array(choice.worth)).append_column(
        "stability", pa.array(stable, pa.float64())
    )
    table = table.append_column("reason", pa.array(why))
    if flags.coding_sequence is not None:
        table = table.append_column("dna", pa.array(_dna(picked, flags.coding_sequence)))
    if flags.codons is not None:
        table = table.append_column("clones", pa.array(_clones(picked, flags.codons)))
    table = table.add_column(0, "rank", pa.array(np.arange(1, picked.n + 1), pa.int32()))
    proposed = table
    if controls.n:
        table = pa.concat_tables([_control_rows(controls, offset, flags, table.schema), table])
    table = table.take(np.repeat(np.arange(table.num_rows), flags.wells_each))
    table = table.add_column(1, "well", pa.array(wells(table.num_rows, flags.plate)))
    facts = {
        "n_asked": flags.n,
        "n_proposed": picked.n,
        "n_controls": controls.n,
        "expected_better_than_wild_type": float(
            np.sum(proposed.column("p_better_than_wild_type").drop_null().to_numpy())
        ),
        "expected_better_than_best": float(
            np.sum(proposed.column("p_better_than_best").drop_null().to_numpy())
        ),
        "diversity": diversity(picked),
        "unknown": unknown(picked, measured, table),
        "positions": len(np.unique(picked.position)),
        "stability": None if np.isnan(stable).all() else float(np.nanmean(stable)),
        "stability_by": by_kind,
        **({"codons": library_facts(flags.codons, _most(picked))} if flags.codons is not None else {}),
        "acquisition": flags.acquisition,
        **choice.facts,
        "notes": [
            *predicted.notes,
            *shortfalls.of_choice(flags, picked.n, choice.looked),
            *shortfalls.of_exploration(flags),
            *shortfalls.of_controls(flags, controls),
        ],
    }
    return table, facts


def _controls(measured: Measured, flags: DesignFlags) -> Candidates:
    """The wild type, then the best measured variants."""
    known = measured.candidates
    template = Candidates(
        known.source, known.template, 1, known.row[:0], known.position[:0], known.residue[:0]
    )
    score = np.where(np.isfinite(measured.target), utility(measured.target, flags.goal), -np.inf)
    best = np.argsort(-score, kind="stable")
    best = best[(known.counts[best] > 0) & np.isfinite(score[best])][: max(0, flags.controls - 1)]
    return joined([template, known.take(best)]).take(np.arange(min(flags.controls, 1 + len(best))))


def _control_rows(controls: Candidates, offset: int, flags: DesignFlags, schema: pa.Schema) -> pa.Table:
    filled: dict[str, Any] = {
        "rank": [0] * controls.n,
        "mutant": controls.mutants(offset),
        "sequence": controls.sequences(),
        "mut_num": controls.counts,
        "reason": ["control: the wild type", *["control: among the best measured"] * (controls.n - 1)],
    }
    if flags.coding_sequence is not None:
        filled["dna"] = _dna(controls, flags.coding_sequence)
    columns = [
        pa.array(filled[field.name]).cast(field.type)
        if field.name in filled
        else pa.nulls(controls.n, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _most(picked: Candidates) -> int:
    return int(picked.counts.max(initial=0))


def _clones(candidates: Candidates, scheme: str) -> list[float]:
    letters = np.split(candidates.residue, np.cumsum(candidates.counts)[:-1])
    return [clones(scheme, [chr(letter) for letter in each]) for each in letters]


def _dna(candidates: Candidates, coding_sequence: str) -> list[str]:
    starts = np.concatenate([[0], np.cumsum(candidates.counts)])
    return [
        mutated_dna(
            coding_sequence,
            candidates.position[starts[k] : starts[k + 1]].tolist(),
            [chr(letter) for letter in candidates.residue[starts[k] : starts[k + 1]]],
        )
        for k in range(candidates.n)
    ]

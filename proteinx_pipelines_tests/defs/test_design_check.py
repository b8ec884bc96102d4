"""The check of the design asset: measured, excluded and repeated proposals are found, replicates are none of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.defs.checks import check_results
from proteinx_pipelines.records import Design
from proteinx_pipelines.stages.design.candidates import candidates_of


def outcome(mutants: list[str], *, excluded: tuple[str, ...] = (), keeps: bool = False, wells: int = 1):
    variants = candidates_of("s", "ACDE", ["A1C", "C2D"]).table()
    own = candidates_of("s", "ACDE", mutants)
    rows = pa.table({"rank": np.arange(own.n) + 1, "mutant": own.mutants(), "sequence": own.sequences()})
    control = pa.table(
        {"rank": [0], "mutant": ["A1C"], "sequence": pa.array(["CCDE"])}
    )  # a control is measured
    rows = pa.concat_tables([control.cast(rows.schema), rows.take(np.repeat(np.arange(own.n), wells))])
    report = {"source": "s", "excluded": list(excluded), "keeps_measured": keeps}
    record = Design(Path("final"), rows, rows, report)
    (found,) = check_results("design", record, {"transform": variants}, "e")
    return found


def test_a_plate_of_new_variants_passes_with_replicates_and_controls() -> None:
    assert outcome(["A1D", "E4K"], excluded=("D3E",)).passed
    assert outcome(["A1D", "E4K"], wells=3).passed
    assert outcome(["A1C", "E4K"], keeps=True).passed


@pytest.mark.parametrize(
    ("mutants", "excluded", "words"),
    [
        (["A1C", "E4K"], (), "1 proposals are measured, 0 are excluded, 0 stand twice"),
        (["D3E:E4K"], ("E4K:D3E",), "0 proposals are measured, 1 are excluded, 0 stand twice"),
        (["E4K", "E4K"], (), "0 proposals are measured, 0 are excluded, 1 stand twice"),
    ],
)
def test_a_known_an_excluded_and_a_repeated_proposal_are_each_found(mutants, excluded, words: str) -> None:
    found = outcome(mutants, excluded=excluded)
    assert not found.passed
    assert found.description == words

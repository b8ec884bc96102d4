"""Leakage checks: find test rows that training reveals, and refuse the split before anything is trained.

Each check has a name. A check that finds leaked rows blocks the split, unless `split.allow_leakage` names it with a
reason; finding and reason are then recorded in the split's summary and in the report, with the score of the rows
without a leak. The train stage ensures that nothing is *fitted* to test rows: it hides their targets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.errors import LeakageFound
from proteinx_pipelines.flags.split import SplitFlags, leaves_out_positions
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.split.distances import near_pairs
from proteinx_pipelines.stages.split.neighbours import Neighbours

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Leak:
    """Finding of one check."""

    check: str
    """A name of `flags.split.LEAKAGE_CHECKS`."""
    rows: np.ndarray
    """int64, ascending: leaked test rows, over all folds."""
    n_sequences: int
    """Number of distinct sequences among them (0 if the check is not about sequences)."""
    text: str
    """Finding and remedy, as sentences."""


def find_leaks(split: Split, variants: VariantTable) -> list[Leak]:
    """Run every check on a split.

    `info` of the split gives the guarantees to check: `method` and `held_out` (positions), `identity` (clusters), and
    `sequences_in_several_places` (contradictions of a file about sequences that were merged).
    """
    found = [*_same_sequences(split, variants), *_same_positions(split, variants)]
    return [*found, *_wild_types(split, variants), *_near_identical(split, variants)]


def describe_leaks(split: Split, variants: VariantTable, flags: SplitFlags) -> list[dict[str, Any]]:
    """Findings as plain JSON, for `Split.info["leakage"]`; `reason` is null if the leak is not allowed."""
    allowed = {entry.check: entry.reason for entry in flags.allow_leakage}
    ids = split.ids.to_numpy(zero_copy_only=False)
    return [
        {
            "check": leak.check,
            "sequences": leak.n_sequences,
            "test_rows": len(leak.rows),
            "text": leak.text,
            "reason": allowed.get(leak.check),
            "ids": ids[leak.rows].tolist(),
        }
        for leak in find_leaks(split, variants)
    ]


def refuse_leaks(split: Split) -> None:
    """Refuse leaks that are not allowed.

    Raises:
        LeakageFound: names every check with findings and its number of rows; change the split, or allow the leak with a
        reason.
    """
    blocking = [entry for entry in split.info.get("leakage", ()) if entry["reason"] is None]
    if blocking:
        raise LeakageFound(leakage_message(blocking))


def leakage_message(findings: list[Mapping[str, Any]]) -> str:
    """All findings in one message."""
    lines = "\n  ".join(f"{entry['check']}: {entry['text']}" for entry in findings)
    example = f'[{{"check": "{findings[0]["check"]}", "reason": "..."}}]'
    return (
        f"The split leaks, so nothing is trained on it:\n  {lines}\nMend it, or accept a leak by name: "
        f"`split.allow_leakage={example}`; the reason is printed in the report, beside the score without "
        "the leaked rows."
    )


def _same_sequences(split: Split, variants: VariantTable) -> Iterator[Leak]:
    """`synonymous_mutants` (one source, several names) and `same_sequence` (in several sources)."""
    sequence = (
        variants.rows.column("sequence")
        .cast("large_string")
        .combine_chunks()
        .dictionary_encode()
        .indices.to_numpy()
    )
    source = variants.rows.column("source").combine_chunks().dictionary_encode().indices.to_numpy()
    _, named = np.unique(
        sequence.astype(np.int64) * (int(source.max(initial=0)) + 1) + source, return_inverse=True
    )
    synonymous, rows = _shared(split, named)
    shared, all_rows = _shared(split, sequence)
    several = int(split.info.get("sequences_in_several_places", 0))
    if len(synonymous):
        yield Leak(
            "synonymous_mutants",
            rows,
            len(synonymous),
            f"{len(synonymous)} sequences are in more than one part under different names: {len(rows)} test rows "
            f"are also trained on or validated on ({_examples(variants, rows)}). Set `transform.synonymous` to "
            "merge, or mend the file of the split.",
        )
    elif several:
        yield Leak(
            "synonymous_mutants",
            _NONE,
            several,
            f"the file puts {several} sequences in several folds or parts under different names. Here they are "
            "merged and follow one line each, so nothing leaks in this run; but a score on these folds is not "
            "the published one, and one computed from the file as it is leaks. Give each sequence one place.",
        )
    only_across = np.setdiff1d(all_rows, rows)
    across = np.setdiff1d(shared, sequence[np.isin(named, synonymous)])
    if len(across):
        yield Leak(
            "same_sequence",
            only_across,
            len(across),
            f"{len(across)} sequences are in more than one part, in different sources: {len(only_across)} test "
            f"rows are also trained on or validated on ({_examples(variants, only_across)}). Take one source, or a "
            "method that keeps sequences together (`random`, `by_position`).",
        )


def _shared(split: Split, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels that occur in several parts of a fold, and the test rows that have them; both ascending."""
    n_labels = int(label.max(initial=-1)) + 1
    if n_labels == len(label):
        return _NONE, _NONE
    shared, leaked = np.zeros(n_labels, bool), np.zeros(len(label), bool)
    for fold in split.folds:
        parts = np.zeros(n_labels, np.int8)
        for bit, rows in enumerate((fold.train, fold.val, fold.test)):
            parts[label[rows]] |= 1 << bit
        several = np.bitwise_count(parts) > 1
        shared |= several
        leaked[fold.test] |= several[label[fold.test]]
    return np.flatnonzero(shared), np.flatnonzero(leaked)


def _same_positions(split: Split, variants: VariantTable) -> Iterator[Leak]:
    if not leaves_out_positions(split.info.get("method"), split.info.get("held_out")):
        return
    sites = changed_sites(variants)
    leaked, positions = (
        np.zeros(variants.n_variants, bool),
        np.zeros(int(sites.position.max(initial=-1)) + 1, bool),
    )
    for fold in split.folds:
        seen = np.zeros(len(positions), bool)
        seen[sites.position[np.isin(sites.row, _known(fold))]] = True
        here = np.isin(sites.row, fold.test) & seen[sites.position]
        leaked[sites.row[here]] = True
        positions[sites.position[here]] = True
    rows = np.flatnonzero(leaked)
    if len(rows):
        yield Leak(
            "same_position",
            rows,
            0,
            f"{int(positions.sum())} positions are tested and trained on, though `split.method` "
            f"{split.info['method']!r} promises that none is: {len(rows)} test rows "
            f"({_examples(variants, rows)}). Run the split stage again.",
        )


def _wild_types(split: Split, variants: VariantTable) -> Iterator[Leak]:
    tested = np.unique(np.concatenate([fold.test for fold in split.folds]))
    rows = tested[variants.column("mut_num")[tested] == 0]
    if len(rows):
        yield Leak(
            "wild_type_in_test",
            rows,
            0,
            f"the wild type is tested ({_examples(variants, rows)}): most assays are scaled by it, so its score "
            "is known beforehand. Train on it, or leave it out of the split.",
        )


def _near_identical(split: Split, variants: VariantTable) -> Iterator[Leak]:
    """Check only splits that guarantee clusters; for others, `near_identical_rows` gives a count for a warning."""
    identity = split.info.get("identity")
    if identity is None:
        return
    encoded = variants.rows.column("sequence").combine_chunks().dictionary_encode()
    code = encoded.indices.to_numpy()
    leaked = np.zeros(len(encoded.dictionary), bool)
    tested, known = (np.zeros((len(split.folds), len(leaked)), bool) for _ in range(2))
    for k, fold in enumerate(split.folds):
        tested[k, code[fold.test]] = True
        known[k, code[_known(fold)]] = True
    for rows, others, near in near_pairs(encoded.dictionary, identity):
        for k in range(len(split.folds)):
            here = np.flatnonzero(tested[k, rows])
            leaked[rows[here]] |= near[here][:, known[k, others]].any(axis=1)
    in_test = np.unique(np.concatenate([fold.test for fold in split.folds]))
    rows = in_test[leaked[code[in_test]]]
    if len(rows):
        yield Leak(
            "near_identical",
            rows,
            int(leaked.sum()),
            f"{len(rows)} test rows agree with a training row in at least {identity:g} of their residues, "
            f"though the split promises that none does ({_examples(variants, rows)}). Run the split stage again.",
        )


def near_identical_rows(split: Split, variants: VariantTable) -> int:
    """Number of test rows, over all folds, that differ in one residue from a training row of their fold."""
    neighbours = Neighbours(variants)
    return sum(int(neighbours.near(fold.train)[fold.test].sum()) for fold in split.folds)


def _known(fold: Fold) -> np.ndarray:
    return np.concatenate([fold.train, fold.val])


def _examples(variants: VariantTable, rows: np.ndarray) -> str:
    shown = ", ".join(variant_names(variants, rows[:3]))
    return f"{shown} and {len(rows) - 3} more" if len(rows) > 3 else shown

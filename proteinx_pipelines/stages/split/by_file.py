"""`file`: a table assigns each variant, as FLIP's sets and ProteinGym's fold columns do.

A line belongs to the variant of the same source and mutant, or of the same sequence where the file has no mutants
(`file_rows`); a variant whose mutant is not in the file takes the line of another mutant with its sequence
(`D28A:N41N` for `D28A`). Lines of other variants are counted and ignored. A variant that the file does not name is in
no part; it is counted, and its reason says so. If more than a tenth are not named, the file is refused unless
`split.allow_unmatched` gives a reason.
"""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import UNUSED, Assignment
from proteinx_pipelines.stages.split.file_rows import name_rows, refuse_few
from proteinx_pipelines.stages.split.file_values import FileValues, read_values
from proteinx_pipelines.stages.split.split_file import read_split_file

_log = logging.getLogger(__name__)
_SHOWN = 20


def split_by_file(variants: VariantTable, flags: SplitFlags, file: Path) -> Assignment:
    """Follow `split.column` of a file, and `split.val_column` among its training rows.

    Raises:
        BadSplitFile: the file does not exist, lacks a column, holds a value that is neither a part nor a fold number,
        contradicts itself about a variant, or names too few variants. The message lists every problem; correct the
        file.
    """
    table = read_split_file(file, flags)
    values = read_values(table, flags, file.name)
    named = name_rows(table, variants, file)
    own = named.variants
    line = _lines_by_name(named.lines, values, own, file)
    spelled, own_spelled = named.lines_by_sequence, named.variants_by_sequence
    missing = np.flatnonzero(line < 0)
    line[missing] = _lines_by_name(spelled, values, own_spelled.take(missing), file)
    refuse_few(table, line, variants, file, flags.allow_unmatched)
    n_matched = int((line >= 0).sum())
    if n_matched < variants.n_variants:
        _log.warning(
            "%s names %d of the %d variants; the others are in no part.", file.name, n_matched, len(line)
        )
    return Assignment(
        parts=values.parts[line],
        rule=np.where(line < 0, len(values.rules) - 1, line),
        rules=values.rules,
        advice=f"Look at `{flags.column}` in {file.name}: it names {n_matched} of the {variants.n_variants} variants. "
        f"A variant is `{variant_names(variants, [0])[0]}`.",
        info={
            "file": file.name,
            "column": flags.column,
            "val_column": flags.val_column,
            **values.info,
            **named.facts(n_matched),
            "lines": len(named.lines),
            "lines_of_other_variants": int(pc.sum(pc.invert(pc.is_in(spelled, own_spelled))).as_py() or 0),
            "lines_against_another_spelling": _contradicted(spelled, values, own_spelled, line),
            "sequences_in_several_places": _in_several_places(spelled, values, own_spelled),
            "variants_not_in_file": variants.n_variants - n_matched,
            "unmatched_because": flags.allow_unmatched,
            "marks_not_used": table.marks_not_used(flags),
        },
    )


def _lines_by_name(names: pa.Array, values: FileValues, wanted: pa.Array, file: Path) -> np.ndarray:
    """Rule of each wanted id: int64 [n], an index into `values.rules`; -1 if the file does not name it.

    Repeated lines are allowed; contradicting lines are refused.
    """
    known = names.dictionary_encode()
    here = np.flatnonzero(np.asarray(known.is_valid()))
    code = known.indices.fill_null(0).to_numpy()[here]
    least = np.full(len(known.dictionary), len(values.rules), np.int64)
    most = np.full(len(known.dictionary), -1, np.int64)
    np.minimum.at(least, code, values.line[here])
    np.maximum.at(most, code, values.line[here])
    found = pc.index_in(wanted, known.dictionary).fill_null(-1).to_numpy()
    at = found[found >= 0]
    twice = at[least[at] != most[at]]
    if len(twice):
        lines = [
            f"{known.dictionary[int(k)]}: {values.rules[least[k]]}; {values.rules[most[k]]}"
            for k in twice[:_SHOWN]
        ]
        more = [f"... and {len(twice) - _SHOWN} more"] if len(twice) > _SHOWN else []
        text = "\n  ".join([*lines, *more])
        raise BadSplitFile(
            f"{file.name} says two things of {len(twice)} variants:\n  {text}\nKeep one line for each."
        )
    result = np.full(len(wanted), -1, np.int64)
    result[found >= 0] = least[at]
    return result


def _contradicted(spelled: pa.Array, values: FileValues, own_spelled: pa.Array, line: np.ndarray) -> int:
    """Number of lines that assign a sequence differently from the line used; without merging, these would leak."""
    variant = pc.index_in(spelled, own_spelled).fill_null(-1).to_numpy()
    here = variant >= 0
    return int((line[variant[here]] != values.line[here]).sum())


def _in_several_places(spelled: pa.Array, values: FileValues, own_spelled: pa.Array) -> int:
    """Number of sequences whose lines assign them to different parts or folds."""
    variant = pc.index_in(spelled, own_spelled).fill_null(-1).to_numpy()
    used = (values.parts != UNUSED).any(axis=1)[values.line] & (variant >= 0)
    least, most = np.full(len(own_spelled), len(values.rules)), np.full(len(own_spelled), -1)
    np.minimum.at(least, variant[used], values.line[used])
    np.maximum.at(most, variant[used], values.line[used])
    return int(((most >= 0) & (least != most)).sum())

"""`file`: a table says where each variant belongs, as FLIP's sets and ProteinGym's fold columns do.

A line belongs to the variant of the same source and mutant; a variant whose mutant is not in the file takes
the line of another mutant with its sequence (`D28A:N41N` for `D28A`). Lines of other variants are counted and
ignored. A variant that the file does not name is in no part, counted and told so in its reason: a file may
cover part of a selection on purpose, and a mistyped file shows as an empty training or test part.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.mutants import canonical_mutants
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import UNUSED, Assignment
from proteinx_pipelines.stages.split.file_values import FileValues, read_values
from proteinx_pipelines.stages.split.split_file import MUTANT, SOURCE, read_split_file

_SHOWN = 20


def split_by_file(variants: VariantTable, flags: SplitFlags, file: Path) -> Assignment:
    """Follow `split.column` of a file, and `split.val_column` among its training rows.

    Raises:
        BadSplitFile: the file is not there, lacks a column, holds a value that is neither a part nor a fold
            number, or says two things of one variant. The message lists all of it; mend the file.
    """
    table = read_split_file(file, flags)
    values = read_values(table, flags, file.name)
    source = _sources(table, variants, file)
    names = _ids(source, table.column(MUTANT))
    own = variants.rows.column("id").combine_chunks()
    line = _lines_by_name(names, values, own, file)
    spelled = _ids(source, canonical_mutants(table.column(MUTANT)))
    own_spelled = _ids(variants.rows.column("source"), canonical_mutants(variants.rows.column("mutant")))
    missing = np.flatnonzero(line < 0)
    line[missing] = _lines_by_name(spelled, values, own_spelled.take(missing), file)
    return Assignment(
        parts=values.parts[line],
        rule=np.where(line < 0, len(values.rules) - 1, line),
        rules=values.rules,
        advice=f"Look at `{flags.column}` in {file.name}: it names {int((line >= 0).sum())} of the "
        f"{variants.n_variants} variants. A variant is `{own[0] if len(own) else ''}`, a line of the file "
        f"`{names[0] if len(names) else ''}`.",
        info={
            "file": file.name,
            "column": flags.column,
            "val_column": flags.val_column,
            **values.info,
            "lines": len(names),
            "lines_of_other_variants": int(pc.sum(pc.invert(pc.is_in(spelled, own_spelled))).as_py() or 0),
            "lines_against_another_spelling": _contradicted(spelled, values, own_spelled, line),
            "sequences_in_several_places": _in_several_places(spelled, values, own_spelled),
            "variants_not_in_file": int((line < 0).sum()),
        },
    )


def _sources(table: pa.Table, variants: VariantTable, file: Path) -> pa.Array:
    """The source of each line: its own, or the only one there is."""
    if SOURCE in table.column_names:
        return table.column(SOURCE).combine_chunks()
    names = variants.rows.column("source").unique().to_pylist()
    if len(names) > 1:
        raise BadSplitFile(
            f"{file.name} has no column `{SOURCE}`, and the variants are of {len(names)} sources "
            f"({', '.join(sorted(names)[:_SHOWN])}). Add the column: a mutant alone does not name a variant."
        )
    return pa.array([*names, ""][:1] * table.num_rows, pa.string())


def _ids(source: pa.Array | pa.ChunkedArray, mutant: pa.Array | pa.ChunkedArray) -> pa.Array:
    ids = pc.binary_join_element_wise(pc.cast(source, pa.string()), pc.cast(mutant, pa.string()), "/")
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids


def _lines_by_name(names: pa.Array, values: FileValues, wanted: pa.Array, file: Path) -> np.ndarray:
    """What the file says of each wanted id: int64 [n], an index into `values.rules`, -1 for nothing.

    Lines that say one thing twice are fine; lines that contradict each other are not.
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
    """Lines that put a sequence elsewhere than the line that was followed: what merging kept from leaking."""
    variant = pc.index_in(spelled, own_spelled).fill_null(-1).to_numpy()
    here = variant >= 0
    return int((line[variant[here]] != values.line[here]).sum())


def _in_several_places(spelled: pa.Array, values: FileValues, own_spelled: pa.Array) -> int:
    """How many sequences of the variants have lines that put them in different parts or folds."""
    variant = pc.index_in(spelled, own_spelled).fill_null(-1).to_numpy()
    used = (values.parts != UNUSED).any(axis=1)[values.line] & (variant >= 0)
    least, most = np.full(len(own_spelled), len(values.rules)), np.full(len(own_spelled), -1)
    np.minimum.at(least, variant[used], values.line[used])
    np.maximum.at(most, variant[used], values.line[used])
    return int(((most >= 0) & (least != most)).sum())

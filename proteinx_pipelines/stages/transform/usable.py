"""Selection of usable rows: with a score, without a stop, with only the twenty amino acids.

Each rule drops or refuses rows, depending on its flag. Values of scores are checked in `targets`.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.transform.mutations import Mutations
from proteinx_pipelines.stages.transform.refusals import Refusals

STOP = ord("*")
_SHOWN_PLACES = 5
_KNOWN = np.zeros(256, bool)
_KNOWN[[*AMINO_ACIDS.encode()]] = True


def usable_rows(
    rows: pa.Table,
    mutations: Mutations,
    templates: Mapping[str, str],
    flags: TransformFlags,
    refusals: Refusals,
) -> tuple[np.ndarray, dict[str, int]]:
    """Mark the usable rows (bool [N]), and count the rows that each rule drops.

    A row that breaks several rules is counted once, for the first: missing score, stop, unknown letter.
    """
    unknown, of_template = _with_unknown_letter(rows, mutations, templates)
    if flags.unknown == "error" or of_template.all():  # dropping them would leave no rows
        _refuse_templates(rows, of_template, templates, refusals)
        unknown = unknown & ~of_template
    rules = (
        ("missing_score", "no score", "missing", flags.missing, _without_score(rows)),
        ("stop", "a stop (`*`)", "stops", flags.stops, _with_stop(mutations)),
        ("unknown_letter", "a letter that is no amino acid", "unknown", flags.unknown, unknown),
    )
    usable = np.ones(rows.num_rows, bool)
    dropped = {}
    for rule, what, flag, choice, hit in rules:
        new = np.flatnonzero(hit & usable)
        usable[new] = False
        dropped[rule] = len(new)
        if choice == "error":
            advice = f"Set `transform.{flag}` to 'drop' to leave such rows out, or mend the catalog."
            refusals.add(f"have {what}", new, advice)
    return usable, dropped


def _without_score(rows: pa.Table) -> np.ndarray:
    scores = rows.column("DMS_score").to_numpy(zero_copy_only=False)
    return np.asarray(np.isnan(scores.astype(np.float64)))


def _with_stop(mutations: Mutations) -> np.ndarray:
    hit = np.zeros(mutations.n_mutants, bool)
    hit[mutations.row[mutations.residue == STOP]] = True
    hit[[row for row, edited in mutations.edited.items() if chr(STOP) in edited.sequence]] = True
    return hit


def _with_unknown_letter(
    rows: pa.Table, mutations: Mutations, templates: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Mark rows whose sequence has an unknown letter (bool [N]), and those that have it from their template.

    The letter is a new one, or one of the template's that other rows change. An unknown letter of the template that no
    row changes is common to all rows and is ignored.
    """
    encoded = rows.column("source").combine_chunks().dictionary_encode()
    source = encoded.indices.to_numpy()
    unknown_in_template = np.zeros(len(encoded.dictionary), np.int64)
    for place, name in enumerate(encoded.dictionary.to_pylist()):
        letters = templates.get(name, "")
        unknown = [at for at, letter in enumerate(letters, start=1) if letter not in AMINO_ACIDS]
        if unknown:
            changed = np.unique(mutations.position[source[mutations.row] == place])
            unknown_in_template[place] = len(np.intersect1d(unknown, changed))
    left = unknown_in_template[source]
    left = left - np.bincount(mutations.row[~_KNOWN[mutations.wild_type]], minlength=mutations.n_mutants)
    of_template = np.asarray(left > 0)
    hit = of_template.copy()
    hit[mutations.row[~_KNOWN[mutations.residue] & (mutations.residue != STOP)]] = True
    for row, edited in mutations.edited.items():
        hit[row] = not set(edited.sequence) <= {*AMINO_ACIDS, chr(STOP), *edited.template}
    return hit, of_template


def _refuse_templates(
    rows: pa.Table, hit: np.ndarray, templates: Mapping[str, str], refusals: Refusals
) -> None:
    """Refuse templates with a letter that is no amino acid: dropping the rows that have it would drop all of them."""
    keeps = " Or keep the variants that change it alone, with `transform.unknown=drop`."
    others = "" if hit.all() else keeps
    sources = rows.column("source").filter(pa.array(hit)).unique().to_pylist()
    for name in sorted(sources):
        offset = refusals.offsets.get(name, 0)
        places = [
            f"{letter} at {place + offset}"
            for place, letter in enumerate(templates.get(name, ""), 1)
            if letter not in AMINO_ACIDS
        ]
        shown = ", ".join(places[:_SHOWN_PLACES]) + (", ..." if len(places) > _SHOWN_PLACES else "")
        refusals.add_sentence(
            f"The template of {name} holds {shown}, which is none of the twenty amino acids, and so does every variant "
            "that does not change it. Import it again with a template that has the nearest one there (cysteine C for "
            "selenocysteine U, lysine K for pyrrolysine O): `proteinx db import FILE --template ... --replace`."
            + others
        )

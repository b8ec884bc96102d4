"""Any set of variants, written in any dialect, imports to the same rows: form, notation, numbering change nothing."""

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mavehgvs.variant import Variant

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.edits import edited_sequence, parse_edits
from proteinx_pipelines.variant_files.notation import NotRead, read_mutant
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "MSEQKTLDAVWRGHNPFYICKLAETSDVQMRNGIPWHKLF"
_NAMES = "Ala Cys Asp Glu Phe Gly His Ile Lys Leu Met Asn Pro Gln Arg Ser Thr Val Trp Tyr Ter"
THREE = dict(zip("ACDEFGHIKLMNPQRSTVWY*", _NAMES.split(), strict=True))
SUBSTITUTIONS = st.dictionaries(st.integers(1, 40), st.sampled_from("ACDEFGHIKLMNPQRSTVWY"), max_size=4)
SCORES = st.one_of(st.none(), st.integers(-10_000, 10_000).map(lambda n: n / 1000))
VARIANTS = st.lists(st.tuples(SUBSTITUTIONS, SCORES), min_size=1, max_size=8)


def plain(changes, offset=0):
    parts = [
        f"{TEMPLATE[at - 1]}{at + offset}{new}"
        for at, new in sorted(changes.items())
        if TEMPLATE[at - 1] != new
    ]
    return ":".join(parts) or "WT"


NOTATIONS = {
    "plain": lambda mutant: mutant,
    "lower": str.lower,
    **{f"joined by {mark!r}": lambda mutant, mark=mark: mutant.replace(":", mark) for mark in "/,;+_-| "},
    "three": lambda mutant: mutant if mutant == "WT" else ":".join(
        f"{THREE[part[0]]}{part[1:-1]}{THREE[part[-1]]}" for part in mutant.split(":")
    ),
    "hgvs": lambda mutant: "p.=" if mutant == "WT" else "p.[{}]".format(";".join(
        f"{THREE[part[0]]}{part[1:-1]}{THREE[part[-1]]}" for part in mutant.split(":")
    )),
    "without letter": lambda mutant: mutant if mutant == "WT" else ":".join(part[1:] for part in mutant.split(":")),
}  # fmt: skip


def written(rows, names, separator, decimal):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator)
    writer.writerow(names)
    for mutant, score in rows:
        writer.writerow([mutant, "" if score is None else repr(score).replace(".", decimal)])
    return stream.getvalue()


def imported(content, name, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        import_file(Path(folder) / "database.db", path, template=TEMPLATE, **options)
        with open_for_reading(Path(folder) / "database.db") as connection:
            return connection.execute("SELECT mutant, DMS_score FROM mutations ORDER BY id").fetchall()


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    VARIANTS,
    st.sampled_from(sorted(NOTATIONS)),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([".", ","]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    st.booleans(),
    st.integers(0, 500),
    st.sampled_from([("mutant", "DMS_score"), ("Variant", "Fitness"), ("hgvs_pro", "score")]),
)
def test_text_in_any_dialect(variants, notation, separator, decimal, encoding, packed, offset, names):
    rows = [(NOTATIONS[notation](plain(changes, offset)), score) for changes, score in variants]
    content = written(rows, names, separator, decimal).encode(encoding)
    content = gzip.compress(content) if packed else content
    found = imported(content, "x.csv", offset=offset, options=ReadingOptions(decimal=decimal))
    assert found == [(plain(changes), score) for changes, score in variants]


@settings(max_examples=25, deadline=None)
@given(VARIANTS, st.sampled_from(["sequence", "mutated_sequence", "seq"]))
def test_sequences_alone(variants, name):
    rows = [(edited_sequence(parse_edits(plain(changes)), TEMPLATE), score) for changes, score in variants]
    found = imported(written(rows, (name, "fitness"), ",", ".").encode(), "x.csv")
    assert found == [(plain(changes), score) for changes, score in variants]


@settings(max_examples=25, deadline=None)
@given(VARIANTS)
def test_records_of_json(variants):
    rows = [{"mutant": plain(changes), "score": score} for changes, score in variants]
    if all(score is None for _, score in variants):
        rows[0]["score"] = 0.0
        variants = [(variants[0][0], 0.0), *variants[1:]]
    assert imported(json.dumps(rows).encode(), "x.json") == [
        (plain(changes), score) for changes, score in variants
    ]


PARTS = st.builds(
    lambda at, tail: f"{THREE[TEMPLATE[at - 1]]}{at}{tail}",
    st.integers(1, 40),
    st.sampled_from([*THREE.values(), "=", "del", "fs", "dup", "delinsAlaGly"]),
)


@given(st.lists(PARTS, min_size=1, max_size=3, unique_by=lambda part: part[3:5]))
def test_hgvs_is_read_as_the_reference_reads_it(parts):
    """What `mavehgvs` takes for a protein variant is read, or refused for what it is; positions and letters agree."""
    text = f"p.{parts[0]}" if len(parts) == 1 else f"p.[{';'.join(parts)}]"
    variants = [Variant(f"p.{part}") for part in parts]
    refused = None
    try:
        found = read_mutant(text, TEMPLATE, 0)
    except NotRead as error:
        refused = error
    if refused is not None:
        is_shift = any(variant.variant_type == "fs" for variant in variants)
        assert "more than once" in str(refused) or (refused.kind == "frame shift" and is_shift)
        return
    changed = [v for v in variants if v.variant_type == "sub" and not v.is_synonymous()]
    expected = {v.positions.position for v in changed if "=" not in v.sequence}
    assert expected <= {edit.first for edit in parse_edits(found.mutant)}

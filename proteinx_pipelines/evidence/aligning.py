"""Alignment of a template with homologues that were given unaligned, by pyhmmer (HMMER's methods).

A profile of the template alone searches the sequences; those that match are aligned to it. With a second round the
profile is made of the first one's alignment, which finds more distant relatives.
"""

import io
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.errors import BadEvidence
from proteinx_pipelines.evidence.given import GivenFile
from proteinx_pipelines.evidence.packages import needed

MOST_SEQUENCES = 200_000
_WHAT = "Aligning homologues"
_TARGET = "template"


@dataclass(frozen=True)
class Aligned:
    """An alignment in a2m form."""

    text: str
    """FASTA, the template first; capitals and `-` are the template's positions, small letters and `.` insertions."""
    sequences: int
    """Number of sequences given."""
    matched: int
    """Number of them that are in the alignment."""


def align_homologues(given: GivenFile, template: str, *, evalue: float = 1e-3, rounds: int = 1) -> Aligned:
    """Search and align unaligned sequences.

    Args:
        given: FASTA of sequences; gaps in them are ignored.
        template: letters; those outside the twenty are unknown.
        evalue: largest expected number of chance matches of a sequence that is taken.
        rounds: number of searches, 1 or more.

    Raises:
        BadEvidence: the file is no FASTA of proteins, or none of its sequences matches the template.
        MissingPackage: pyhmmer is not installed.
    """
    easel, plan7, hmmer = (needed(f"pyhmmer.{name}", _WHAT) for name in ("easel", "plan7", "hmmer"))
    alphabet = easel.Alphabet.amino()
    sequences = _sequences(given, easel, alphabet)
    query = easel.TextSequence(name=_TARGET, sequence=template).digitize(alphabet)
    builder, background = plan7.Builder(alphabet), plan7.Background(alphabet)
    alone, _, _ = builder.build(query, background)
    profile, found = alone, list[Any]()
    for _ in range(max(1, rounds)):
        hits = next(iter(hmmer.hmmsearch([profile], sequences, E=evalue, incE=evalue, cpus=1)))
        names = {hit.name for hit in hits if hit.included}
        found = [each for each in sequences if each.name in names]
        if not found:
            raise BadEvidence(
                f"None of the {len(sequences):,} sequences of {given.name} matches the template (E-value {evalue:g}); "
                "homologues of the template are expected. Give others, or a larger `--evalue`."
            )
        # Aligned to the profile of the template alone, so that columns are its positions.
        block = easel.DigitalSequenceBlock(alphabet, [query, *found])
        rows = hmmer.hmmalign(alone, block, trim=True, all_consensus_cols=True)
        rows.name = _TARGET
        profile, _, _ = builder.build_msa(rows.digitize(alphabet), background)
    text = "".join(f">{name}\n{row}\n" for name, row in zip(rows.names, rows.alignment, strict=True))
    return Aligned(text, len(sequences), len(found))


def _sequences(given: GivenFile, easel: Any, alphabet: Any) -> Any:
    """Sequences of a FASTA file, in a block; equal names are told apart."""
    try:
        with easel.SequenceFile(
            io.BytesIO(given.unpacked), format="fasta", digital=True, alphabet=alphabet
        ) as file:
            block = file.read_block(sequences=MOST_SEQUENCES + 1)
    except (ValueError, OSError, EOFError, RuntimeError) as error:
        raise BadEvidence(
            f"{given.name} cannot be read as FASTA of proteins ({error}); unaligned homologues are expected."
        ) from error
    if not len(block) or len(block) > MOST_SEQUENCES:
        raise BadEvidence(
            f"{given.name} has {len(block):,} sequences (or more); 1 to {MOST_SEQUENCES:,} homologues are expected."
        )
    for number, each in enumerate(block):
        each.name = f"{each.name}/{number}"
    return block

"""What the report says of structures and alignments: facts, warnings, a sentence for the methods paragraph."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.records import Embedding, Training
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat

_KINDS = ("structure", "alignment")


def evidence_facts(embedding: Embedding) -> dict[str, Any]:
    """`evidence` for the section `data` of the report; nothing if none was given."""
    if embedding.evidence is None:
        return {}
    return {"evidence": {kind: dict(embedding.evidence.info[kind]) for kind in _KINDS}}


def about_evidence(embedding: Embedding, training: Training) -> Iterator[Caveat]:
    """Warnings: files that do not fit or are weak, and models that do better without them."""
    if embedding.evidence is None:
        return
    for sentence in embedding.evidence.info["warnings"]:
        yield caveat("evidence", text=sentence)
    folds = [fold for fold in training.info.get("folds", ()) if "evidence" in fold]
    for kind in _KINDS:
        if not any(facts["used"] for facts in embedding.evidence.info[kind].values()):
            continue
        without = sum(kind not in fold["evidence"] for fold in folds)
        because = sorted(
            {fold["evidence_left_out_because"] for fold in folds if "evidence_left_out_because" in fold}
        )
        if because:
            yield caveat("evidence", text=f"The {kind} was not used: {'; '.join(because)}.")
        elif without:
            yield caveat("evidence_unused", kind=kind, n=without, total=len(folds))


def evidence_in_words(data: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> str:
    """Sentence about the files used; empty if there are none."""
    given = data.get("evidence", {})
    used = [
        (kind, facts) for kind in _KINDS for facts in given.get(kind, {}).values() if facts["used"]
    ]  # fmt: skip
    if not used:
        return ""
    named = " and ".join(_named(kind, facts) for kind, facts in used)
    how = (
        "; what is used of it, and with which weight, was chosen on training rows left out as the split leaves out its "
        "test rows"
        if any("evidence" in fold for fold in folds)
        else ""
    )
    return f"The template was described by {named}{how}."


def _named(kind: str, facts: Mapping[str, Any]) -> str:
    share = f"{100 * facts['coverage']:.0f} % of the template, {100 * facts['identity']:.0f} % identical"
    if kind == "structure":
        return f"a {facts['kind']} structure ({facts['file']}, chain {facts['chain']}; {share})"
    rows = f"{facts['rows_used']:,} sequences, {facts['effective_rows']:,.0f} effective at 80 % identity"
    return f"an alignment ({facts['file']}; {rows}; {share})"

"""What the report says of structures and alignments: facts, warnings, a sentence for the methods paragraph."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.evidence.values import PRIOR
from proteinx_pipelines.records import Embedding, Training
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat

_KINDS = ("structure", "alignment")
RELATED = "related_source"
"""Check that leaves a protein's relatives out of a prior."""
_NAMED = 6


def evidence_facts(embedding: Embedding) -> dict[str, Any]:
    """`evidence` for the section `data` of the report; nothing if none was given."""
    if embedding.evidence is None:
        return {}
    info = embedding.evidence.info
    prior = {PRIOR: dict(info[PRIOR])} if PRIOR in info else {}
    files = any(info[kind] for kind in _KINDS)
    return {
        **({"evidence": {kind: dict(info[kind]) for kind in _KINDS}} if files or not prior else {}),
        **prior,
    }


def about_evidence(embedding: Embedding, training: Training) -> Iterator[Caveat]:
    """Warnings: files that do not fit or are weak, and models that do better without them."""
    if embedding.evidence is None:
        return
    for sentence in embedding.evidence.info["warnings"]:
        yield caveat("evidence", text=sentence)
    yield from _about_prior(embedding.evidence.info.get(PRIOR, {}))
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


def _about_prior(facts: Mapping[str, Any]) -> Iterator[Caveat]:
    """What the check `related_source` left out of the prior, and proteins that the prior cannot be used for."""
    for source, found in facts.get(RELATED, {}).items():
        if found["left_out"]:
            names = ", ".join(found["left_out"][:_NAMED])
            more = f" and {len(found['left_out']) - _NAMED} more" if len(found["left_out"]) > _NAMED else ""
            code = RELATED if found["is_used"] else "prior_unused"
            yield caveat(code, source=source, n=len(found["left_out"]), names=names + more)


def evidence_in_words(data: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> str:
    """Sentence about the files used; empty if there are none."""
    given = data.get("evidence", {})
    if PRIOR in data:
        is_read = data[PRIOR].get("by_structure") and any(
            "structure" in fold.get("evidence", ()) for fold in folds
        )
        by = " from the sequence and the structure" if is_read else ""
        prior = (
            f"Effects of substitutions predicted by a prior{by}, learned from {data[PRIOR]['members']} assays of other "
            "proteins without the template's relatives, entered the model."
        )
        files = evidence_in_words({"evidence": given}, folds)
        return f"{files} {prior}".strip()
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

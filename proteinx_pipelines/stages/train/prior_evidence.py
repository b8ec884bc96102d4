"""What a prior says of the templates, added to an embedding's evidence; `train` and `evaluate` read it there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from proteinx_pipelines.evidence.values import (
    PRIOR,
    PRIOR_EXCHANGE,
    PRIOR_KNOWN_POSITIONS,
    PRIOR_MODES,
    PRIOR_NEW_POSITIONS,
    PRIOR_NEW_POSITIONS_STRUCTURE,
    PRIOR_STRUCTURE,
)
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence
from proteinx_pipelines.stages.train.prior import MODELS, MODES, RELATED, Effects, Prior
from proteinx_pipelines.stages.train.structure_effects import predicted, protein_sites

_READ = {
    PRIOR_NEW_POSITIONS: "new_positions",
    PRIOR_NEW_POSITIONS_STRUCTURE: "new_positions_by_structure",
    PRIOR_KNOWN_POSITIONS: "known_positions",
}
"""Array of the evidence -> network of a prior."""


def with_prior(embedding: Embedding, prior: Prior | None, templates: Mapping[str, str]) -> Embedding:
    """Add the predicted effects to an embedding's evidence.

    Args:
        embedding: of one-hot tokens; others are returned as they are.
        prior: to use, or None.
        templates: source -> sequence.

    Returns:
        The embedding with `prior` among the arrays of its evidence, and facts about it in `info`.
    """
    if prior is None or embedding.tokens is None or not templates:
        return embedding
    sources = sorted(templates)
    effects = {name: effects_of(prior, templates[name]) for name in sources}
    facts = {
        "sha256": prior.sha256,
        "members": len(prior.members),
        RELATED: {
            name: {"left_out": list(found.left_out), "is_used": found.is_used}
            for name, found in effects.items()
        },
    }
    width = max(len(templates[name]) for name in sources)
    values = np.full((len(sources), width, len(AMINO_ACIDS)), np.nan, np.float32)
    modes = np.full((len(sources), width, MODES * len(AMINO_ACIDS)), np.nan, np.float32)
    for number, name in enumerate(sources):
        length, found = len(templates[name]), effects[name]
        values[number, :length] = found.values
        modes[number, :length] = np.moveaxis(found.modes, 0, 1).reshape(length, -1)
    before = embedding.evidence or Evidence(sources, {}, {"structure": {}, "alignment": {}, "warnings": []})
    exchange = np.stack([effects[name].exchange.reshape(1, -1) for name in sources]).astype(np.float32)
    of_all = [effects[name] for name in sources]
    arrays = {
        **before.arrays, PRIOR: values, PRIOR_MODES: modes, PRIOR_EXCHANGE: exchange,
        **{array: _models([getattr(each, name) for each in of_all], MODELS[name][0]) for array, name in _READ.items()},
    }  # fmt: skip
    by_structure = _by_structure(before, effects, templates, values)
    if by_structure is not None:
        arrays[PRIOR_STRUCTURE] = by_structure
    facts["by_structure"] = by_structure is not None
    evidence = replace(before, arrays=arrays, info={**before.info, PRIOR: facts})
    return replace(embedding, evidence=evidence)


def _by_structure(
    evidence: Evidence, effects: Mapping[str, Effects], templates: Mapping[str, str], values: np.ndarray
) -> np.ndarray | None:
    """Effects by sequence and structure, float32 as `values` ([T, L, 20], by sequence), which stand where it has none.

    None if no template has a structure that the prior can read.
    """
    found, is_any = values.copy(), False
    for number, (name, of_source) in enumerate(effects.items()):
        length, line = len(templates[name]), of_source.structure_effects
        sites = protein_sites(evidence, number, length)
        if line is None or sites is None:
            continue
        found[number, :length] = predicted(line, of_source.values, templates[name], sites.features)
        is_any = True
    return found if is_any else None


def _models(found: Sequence[np.ndarray | None], width: int) -> np.ndarray:
    """The models of all sources, float32 [T, 1, width], NaN where there is none."""
    unknown = np.full(width, np.nan, np.float32)
    return np.stack([unknown if each is None else each.astype(np.float32) for each in found])[:, None]


_remembered: dict[tuple[str, str], Effects] = {}


def effects_of(prior: Prior, template: str) -> Effects:
    """`Prior.effects`, remembered within the process for the folds of a training."""
    key = (prior.sha256, template)
    if key not in _remembered:
        if len(_remembered) > 64:
            _remembered.clear()
        _remembered[key] = prior.effects(template)
    return _remembered[key]

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
    PRIOR_STRUCTURE,
    has,
)
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence
from proteinx_pipelines.stages.train import structure_effects
from proteinx_pipelines.stages.train.known_positions import n_weights as n_known_positions_weights
from proteinx_pipelines.stages.train.new_positions import n_features as n_new_positions_features
from proteinx_pipelines.stages.train.prior import MODES, RELATED, Effects, Prior


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
        PRIOR_NEW_POSITIONS: _models([each.new_positions for each in of_all], n_new_positions_features()),
        PRIOR_KNOWN_POSITIONS: _models([each.known_positions for each in of_all], n_known_positions_weights()),
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
    if not (has(evidence, "structure") and has(evidence, "packing")):
        return None
    found, is_any = values.copy(), False
    for number, (name, of_source) in enumerate(effects.items()):
        length = len(templates[name])
        structure, packing = (evidence.arrays[array][number, :length] for array in ("structure", "packing"))
        if of_source.structure_effects is None or not np.isfinite(structure).any():
            continue
        found[number, :length] = structure_effects.predicted(
            of_source.structure_effects,
            of_source.values,
            templates[name],
            structure_effects.site_features(structure, packing),
        )
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

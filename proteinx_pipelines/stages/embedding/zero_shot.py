"""Zero-shot scores of a language model: sums of log-odds at the mutated positions, without any measurement.

Wild-type marginals read all probabilities from one forward pass of the template; masked marginals hide each mutated
position in turn, one pass for each. Both add over mutations as if they were independent.

Source: Meier et al. 2021, doi:10.1101/2021.07.09.450648 (ESM-1v), "masked marginals" and "wild-type marginals".
"""

from typing import Protocol

import numpy as np

from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.letters import as_letters, groups_by_length
from proteinx_pipelines.stages.embedding.windows import Windows

_MASKED_AT_ONCE = 16


class Scorer(Protocol):
    """A language model with its head."""

    def residue_log_odds(self, letters: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
        """uint8 [B, L] letters, int64 [B] hidden positions to logits float32 [B, L, 20], as `AMINO_ACIDS`."""
        ...


def marginal_scores(windows: Windows, model: Scorer, *, masked: bool, monitor: StageMonitor) -> np.ndarray:
    """Score N variants: sum over mutations of log p(mutant) - log p(wild type); 0 for the wild type.

    Args:
        windows: sequences and their templates, of equal lengths.
        model: the language model.
        masked: masked marginals; else wild-type marginals.
        monitor: may stop the work between templates and batches.

    Returns:
        float32 [N].
    """
    scores = np.zeros(len(windows.sources), np.float32)
    index = np.full(256, -1)
    index[as_letters(AMINO_ACIDS)] = np.arange(len(AMINO_ACIDS))
    for group in groups_by_length(windows.sequences):
        sources = windows.sources[group.rows]
        for source in sorted(set(sources.tolist())):
            rows = np.flatnonzero(sources == source)
            template = as_letters(windows.templates[source])
            row, position = np.nonzero(group.letters[rows] != template)
            odds = _log_odds(template, np.unique(position), model, masked=masked, monitor=monitor)
            old, new = index[template[position]], index[group.letters[rows][row, position]]
            change = odds[position, new] - odds[position, old]
            scores[group.rows[rows]] = np.bincount(row, weights=change, minlength=len(rows))
    return scores


def pseudo_likelihoods(windows: Windows, model: Scorer, monitor: StageMonitor) -> np.ndarray:
    """Score N variants by pseudo-likelihood: that of the sequence minus that of its template, 0 for the wild type.

    Lengths may differ. Equal sequences are scored once.

    Returns:
        float32 [N].
    """
    texts = windows.sequences.to_pylist()
    templates = [windows.templates[source] for source in windows.sources.tolist()]
    wanted = list(dict.fromkeys([*texts, *templates]))
    found = {}
    for number, text in enumerate(wanted):
        found[text] = _pseudo_likelihood(as_letters(text), model)
        monitor.progress(number + 1, len(wanted), "pseudo-likelihoods")
    return np.array(
        [found[text] - found[own] for text, own in zip(texts, templates, strict=True)], np.float32
    )


def _pseudo_likelihood(letters: np.ndarray, model: Scorer) -> float:
    """Sum over the residues of log p(residue), each hidden in turn; p over the twenty residues."""
    index = np.full(256, -1)
    index[as_letters(AMINO_ACIDS)] = np.arange(len(AMINO_ACIDS))
    total = 0.0
    for start in range(0, len(letters), _MASKED_AT_ONCE):
        hidden = np.arange(start, min(start + _MASKED_AT_ONCE, len(letters)))
        logits = model.residue_log_odds(np.repeat(letters[None], len(hidden), axis=0), hidden)
        own = logits[np.arange(len(hidden)), hidden].astype(np.float64)
        own -= own.max(axis=1, keepdims=True)
        chosen = own[np.arange(len(hidden)), index[letters[hidden]]]
        total += float((chosen - np.log(np.exp(own).sum(axis=1))).sum())
    return total


def _log_odds(
    template: np.ndarray, positions: np.ndarray, model: Scorer, *, masked: bool, monitor: StageMonitor
) -> np.ndarray:
    """Logits float32 [L, 20] of a template; with `masked`, only those of `positions` are filled."""
    if not masked:
        return np.asarray(model.residue_log_odds(template[None])[0])
    found = np.zeros((len(template), len(AMINO_ACIDS)), np.float32)
    for start in range(0, len(positions), _MASKED_AT_ONCE):
        hidden = positions[start : start + _MASKED_AT_ONCE]
        logits = model.residue_log_odds(np.repeat(template[None], len(hidden), axis=0), hidden)
        found[hidden] = logits[np.arange(len(hidden)), hidden]
        monitor.progress(start + len(hidden), len(positions), "masked positions")
    return found

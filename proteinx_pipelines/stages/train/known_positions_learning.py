"""Learning of the network of `known_positions`, from many assays whose rows are left out singly.

The rows of every assay are cut into five parts, each described by the others as in cross-validation; a few rows are
described by a half and by a fifth of the others, as where little was measured. One network of all assays, and one
without each group of families. As for `new_positions_learning`, the effects that describe an assay's rows were learned
without its own group and without the group that is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.stages.train.new_positions import Measured
from proteinx_pipelines.stages.train.site_network import SiteNetwork, shapes, standardised
from proteinx_pipelines.stages.train.site_profiles import Expected, SiteProfiles
from proteinx_pipelines.stages.train.targets import fit_scaling

if TYPE_CHECKING:
    import torch

    from proteinx_pipelines.stages.train.prior_learning import Assay

PARTS, MOST_ROWS = 5, 400
"""Parts of an assay's rows, and most rows of a part that are described; further ones count no more."""
FEW = (0.5, 0.2)
"""Smaller shares of the rows that describe others."""
MOST_OF_FEW = 100
"""Rows that are described by such a share."""
EPOCHS, BATCH = 8, 512
RATE, DECAY, DROPOUT = 2e-3, 2e-2, 0.1
"""Largest learning rate of one cycle, weight decay and dropout; chosen on 25 assays of families that were left out."""
_LEAST_SPREAD = 1e-3
_EQUAL_ROWS = 500
"""Rows of an assay below which its rows do not count more."""


@dataclass(frozen=True)
class _Described:
    """The described rows of one assay."""

    position: np.ndarray
    new: np.ndarray
    target: np.ndarray
    """float32 [n], normal scores among the rows that describe."""
    rest: np.ndarray
    """float32 [n, c - `N_EXPECTED`]: features without those of a prior."""
    pieces: Sequence[tuple[SiteProfiles, slice]]

    def features(self, effects: np.ndarray, exchange: np.ndarray) -> np.ndarray:
        """float32 [n, c]: all features, as `known_positions.described` gives them."""
        ours = [
            Expected(profiles, effects, exchange).features(self.position[rows], self.new[rows])
            for profiles, rows in self.pieces
        ]
        return np.concatenate([np.concatenate(ours), self.rest], axis=1)


def learn_known_positions(
    assays: Sequence["Assay"],
    group: Mapping[str, int],
    effects: Callable[["Assay"], np.ndarray],
    exchange: np.ndarray,
    tokens: Callable[[str], np.ndarray],
    seed: int,
) -> np.ndarray:
    """Networks of all assays, then without group 0, 1, ..., float16 [1 + G, `n_weights(c)`].

    Args:
        assays: to learn from.
        group: assay -> group of families, from 0.
        effects: assay -> float64 [1 + G, L, 20], effects learned without the assay's group, and without group 0, 1, ...
            besides.
        exchange: float [1 + G, 20, 20], covariance of residues at one site, of all assays and without group 0, 1, ...
        tokens: template -> int64 [L].
        seed: of the shares, the first weights and the order of rows.
    """
    described = {assay.name: _describe(assay, tokens(assay.template), seed) for assay in assays}
    by_assay = {assay.name: effects(assay) for assay in assays}
    networks = []
    for left_out in range(-1, 1 + max(group.values())):
        kept = [assay.name for assay in assays if group[assay.name] != left_out]
        of_set = exchange[1 + left_out]
        features = np.concatenate(
            [described[name].features(by_assay[name][1 + left_out], of_set) for name in kept]
        )
        target = np.concatenate([described[name].target for name in kept])
        sizes = [len(described[name].target) for name in kept]
        weight = np.concatenate([np.full(size, 1.0 / max(size, _EQUAL_ROWS)) for size in sizes])
        networks.append(_train(features, target, weight / weight.mean(), seed).line())
    return np.asarray(networks, np.float16)


def _describe(assay: "Assay", template: np.ndarray, seed: int) -> _Described:
    positions, residues, targets, rest, pieces, start = [], [], [], [], [], 0
    for training, rows in _left_out(len(assay.score), seed):
        unit = fit_scaling("rank", assay.score[training]).scale
        here = unit(assay.score[training])
        profiles = SiteProfiles(Measured(template, assay.position[training], assay.new[training], here))
        positions.append(assay.position[rows])
        residues.append(assay.new[rows])
        targets.append(unit(assay.score[rows]))
        rest.append(profiles.features(positions[-1], residues[-1]))
        pieces.append((profiles, slice(start, start + len(rows))))
        start += len(rows)
    return _Described(
        np.concatenate(positions),
        np.concatenate(residues),
        np.concatenate(targets).astype(np.float32),
        np.concatenate(rest),
        pieces,
    )


def _left_out(n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that describe, and rows that are described: int64 each."""
    random = np.random.default_rng([seed, n])
    for part in np.array_split(random.permutation(n), PARTS):
        yield np.setdiff1d(np.arange(n), part), part[:MOST_ROWS]
    for share in FEW:
        order, size = random.permutation(n), max(2, int(share * n))
        yield order[:size], order[size : size + MOST_OF_FEW]


def _train(features: np.ndarray, target: np.ndarray, weight: np.ndarray, seed: int) -> SiteNetwork:
    """Train one network on rows that count by their weights (float [n]); the same rows give the same network."""
    import torch
    from torch.nn import functional

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, whatever the cores
    width = features.shape[1]
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = features.std(axis=0, dtype=np.float64).astype(np.float32) + _LEAST_SPREAD
    x = torch.from_numpy(standardised(features, mean, scale))
    y, w = torch.from_numpy(target), torch.from_numpy(weight.astype(np.float32))
    random = torch.Generator().manual_seed(seed)
    part = {
        name: _first(name, shape, random).requires_grad_()
        for name, shape in shapes(width).items()
        if name not in ("mean", "scale")
    }

    def dropped(hidden: torch.Tensor) -> torch.Tensor:
        kept = torch.rand(hidden.shape, generator=random) >= DROPOUT
        return hidden * kept / (1 - DROPOUT)

    steps = EPOCHS * -(-len(y) // BATCH)
    optimizer = torch.optim.AdamW(part.values(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(y), generator=random), BATCH):
            given = x[rows]
            hidden = dropped(functional.silu(given @ part["first"] + part["first_bias"]))
            hidden = hidden + dropped(functional.silu(hidden @ part["second"] + part["second_bias"]))
            found = hidden @ part["last"] + given @ part["straight"] + part["bias"]
            loss = (w[rows] * (found - y[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    torch.set_num_threads(threads)
    arrays = {"mean": mean, "scale": scale, **{name: each.detach().numpy() for name, each in part.items()}}
    return SiteNetwork(arrays)


def _first(name: str, shape: tuple[int, ...], random: "torch.Generator") -> "torch.Tensor":
    """First weights: uniform within one over the root of the inputs; 0 for the straight way and the biases."""
    import torch

    if name == "straight" or "bias" in name:
        return torch.zeros(shape)
    return (2 * torch.rand(shape, generator=random) - 1) / float(np.sqrt(shape[0]))

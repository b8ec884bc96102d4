"""Training of the networks of `site_network`, which are part of a prior's file."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from proteinx_pipelines.stages.train.site_network import SiteNetwork, shapes, standardised

if TYPE_CHECKING:
    import torch

EPOCHS, BATCH = 8, 512
RATE, DECAY = 2e-3, 2e-2
"""Largest learning rate of one cycle, and weight decay; chosen on 25 assays of families that were left out."""
_LEAST_SPREAD = 1e-3
_EQUAL_ROWS = 500
"""Rows of an assay below which its rows do not count more."""


def train_without_each(
    targets: Mapping[str, np.ndarray],
    group: Mapping[str, int],
    features: Callable[[str, int], np.ndarray],
    seed: int,
    *,
    dropout: float,
) -> np.ndarray:
    """Networks of all assays, then without group 0, 1, ..., float16 [1 + G, weights]. Assays count alike.

    Args:
        targets: assay -> float [n], to learn from.
        group: assay -> group of families, from 0, of these and other assays.
        features: of an assay, for the set without a group (-1 for all): float32 [n, c].
        seed: of the first weights and the order of rows.
        dropout: as for `train_network`.
    """
    networks = []
    for left_out in range(-1, 1 + max(group.values())):
        kept = [name for name in targets if group[name] != left_out]
        weight = np.concatenate(
            [np.full(size, 1.0 / max(size, _EQUAL_ROWS)) for size in (len(targets[name]) for name in kept)]
        )
        rows = np.concatenate([features(name, left_out) for name in kept])
        target = np.concatenate([targets[name] for name in kept]).astype(np.float32)
        networks.append(train_network(rows, target, weight / weight.mean(), seed, dropout=dropout).line())
    return np.asarray(networks, np.float16)


def train_network(
    features: np.ndarray, target: np.ndarray, weight: np.ndarray, seed: int, *, dropout: float
) -> SiteNetwork:
    """Train one network by weighted squared errors; the same rows give the same network on the same processor.

    Args:
        features: float32 [n, c].
        target: float32 [n].
        weight: float [n], by which rows count; 1 on average.
        seed: of the first weights and the order of rows.
        dropout: share of hidden values left out at each step.
    """
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
        kept = torch.rand(hidden.shape, generator=random) >= dropout
        return hidden * kept / (1 - dropout)

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

"""Ensembles: several trained predictors that predict as one, by their mean.

The deviation is that of the mixture: the members' own where all have one, and their spread. Members share a
representation; those of one fold (`train.seeds`) share a scaling too, those of several folds have one each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.targets import TargetScaling, read_scaling
from proteinx_pipelines.stages.train.task import JointPredictor, Predictor, TypicalPredictor

MEMBERS = "members"
"""Entry of `model.json`'s settings that only an ensemble has."""

_NONE = TargetScaling("none")


@dataclass(frozen=True)
class Member:
    """One predictor, and the scaling that its values are in."""

    predictor: Predictor
    scaling: TargetScaling = _NONE

    @property
    def joint(self) -> JointPredictor | None:
        """The predictor if it knows how its errors go together."""
        found = self.predictor
        return found if isinstance(found, JointPredictor) and found.is_joint else None


class EnsemblePredictor:
    """Two or more members, all of one model."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)

    def each(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Prediction of each member, float64 [members, n]."""
        return np.stack(
            [member.scaling.unscale(member.predictor.mean(embedding, rows)) for member in self.members]
        )

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Mean over the members, float64 [n]."""
        return np.asarray(self.each(embedding, rows).mean(axis=0))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Deviation of the mixture, float64 [n]: the members' own where all have one, and their spread."""
        variance = self.each(embedding, rows).var(axis=0, ddof=1)
        own = [member.predictor.deviation(embedding, rows) for member in self.members]
        inside = [
            np.square(found * member.scaling.deviation)
            for found, member in zip(own, self.members, strict=True)
            if found is not None
        ]
        if len(inside) == len(self.members):
            variance = variance + np.mean(inside, axis=0)
        return np.asarray(np.sqrt(variance))

    def typical_deviation(self) -> float | None:
        """Root mean square of the members'; None if one has none."""
        found = [
            (typical, member.scaling.deviation)
            for member in self.members
            if isinstance(member.predictor, TypicalPredictor)
            and (typical := member.predictor.typical_deviation()) is not None
        ]
        if len(found) < len(self.members):
            return None
        return float(np.sqrt(np.mean([(typical * scale) ** 2 for typical, scale in found])))

    is_joint = True

    @property
    def draws_any_number(self) -> bool:
        """True if every member draws any number of rows, or draws are by the members' spread."""
        joint = self._all_joint()
        return joint is None or all(each.draws_any_number for each in joint)

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance of the mixture, float64 [m, m]."""
        found = np.atleast_2d(np.cov(self.each(embedding, rows).T))
        if (joint := self._all_joint()) is not None:
            for predictor, member in zip(joint, self.members, strict=True):
                own = predictor.covariance(embedding, rows) * member.scaling.deviation**2
                found = found + own / len(self.members)
        return np.asarray(found)

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Joint draws. Draw k is member k's own, in turn; of members without any, by the covariance of their spread."""
        if (joint := self._all_joint()) is None:
            return self._by_spread(embedding, rows, n, seed)
        found = [each.draws(embedding, rows, n, (*seed, k)) for k, each in enumerate(joint)]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        turns = (k % len(known) for k in range(n))
        return (self.members[k].scaling.unscale(next(known[k])) for k in turns)

    def settings(self) -> dict[str, Any]:
        """Settings and scaling of each member."""
        return {
            MEMBERS: [
                {"settings": member.predictor.settings(), "target": member.scaling.document()}
                for member in self.members
            ]
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """Tensors of all members, prefixed with their numbers."""
        return {
            f"{number}.{name}": value
            for number, member in enumerate(self.members)
            for name, value in member.predictor.tensors().items()
        }

    def _all_joint(self) -> list[JointPredictor] | None:
        joint = [member.joint for member in self.members]
        known = [each for each in joint if each is not None]
        return known if len(known) == len(joint) else None

    def _by_spread(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray]:
        each = self.each(embedding, rows)
        mean, apart = each.mean(axis=0), (each - each.mean(axis=0)) / np.sqrt(len(each) - 1)
        for number in range(n):
            weights = np.random.default_rng([*seed, number]).standard_normal(len(each))
            yield mean + weights @ apart


def restore(model: str, settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Predictor:
    """Rebuild a model's predictor, alone or an ensemble, from its exported settings and tensors."""
    module = model_entry(model).load()
    if MEMBERS not in settings:
        return module.restore(settings, tensors)
    return EnsemblePredictor(
        [
            Member(module.restore(entry["settings"], _of(number, tensors)), read_scaling(entry["target"]))
            for number, entry in enumerate(settings[MEMBERS])
        ]
    )


def _of(number: int, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = f"{number}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}

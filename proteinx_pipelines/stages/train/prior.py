"""A prior from other assays: predicted effects of every substitution of a template, before any measurement of it.

A prior is a linear model of substitutions (`prior_features`), learned from ranks of scores over many assays
(`prior_learning`, `proteinx prior learn`): mean weights, and the directions in which the weights of single assays
differ most. Its file has a set of all families of proteins, and one without each group of families: a protein related
to a family is predicted by weights that have never seen it (the check `related_source`). Where relatives are in several
groups, there is no prior for it, which is said. The file also has the networks that were learned across assays: of new
positions (by sequence, and with a structure), of known ones, and of effects by structure.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.errors import CorruptArtifact, MissingFile
from proteinx_pipelines.evidence.relatives import relatives
from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import new_positions, structure_effects
from proteinx_pipelines.stages.train.known_positions import n_weights as n_known_positions_weights
from proteinx_pipelines.stages.train.prior_default import FILE, default_bytes
from proteinx_pipelines.stages.train.prior_features import (
    FEATURES_VERSION,
    changes_of,
    n_features,
    prior_features,
)
from proteinx_pipelines.stages.train.site_profiles import VERSION as KNOWN_POSITIONS_VERSION

DEFAULT, NONE = "default", "none"
"""Words of `model.prior` that name no file."""
MODES = 3
"""Directions in which assays differ."""
_FORMAT = "proteinx-prior-1"
_SITES_AT_ONCE = 200
RELATED = "related_source"
"""Name of the check."""


MODELS = {
    "new_positions": (new_positions.n_weights(by_structure=False), new_positions.VERSION),
    "new_positions_by_structure": (new_positions.n_weights(by_structure=True), new_positions.VERSION),
    "known_positions": (n_known_positions_weights(), KNOWN_POSITIONS_VERSION),
    "structure_effects": (structure_effects.n_weights(), structure_effects.VERSION),
}
"""Networks learned across assays that a file may have: numbers of one, and version."""


@dataclass(frozen=True)
class Member:
    """One assay that a prior was learned from."""

    name: str
    sequence: str
    """Template, to find relatives."""
    group: int
    """Group of families that are left out together."""


@dataclass(frozen=True)
class Prior:
    """Weights of substitutions, of all assays and without each group."""

    weights: np.ndarray
    """float32 [1 + G, 1 + MODES, p]: of all members, then without group 0, 1, ...; mean weights, then directions."""
    exchange: np.ndarray
    """float32 [1 + G, 20, 20], for the same sets: covariance of what the weights leave of two residues at one site."""
    members: tuple[Member, ...]
    new_positions: np.ndarray | None = None
    """float16 [1 + G, w], for the same sets: networks of `new_positions`; None with few families, in older files."""
    new_positions_by_structure: np.ndarray | None = None
    """float16 [1 + G, w], for the same sets: those that read the structure; None with few structures, or older."""
    known_positions: np.ndarray | None = None
    """float16 [1 + G, w], for the same sets: networks of `known_positions`; None with few families, in older files."""
    structure_effects: np.ndarray | None = None
    """float16 [1 + G, w], for the same sets: networks of `structure_effects`; None with few structures, or older."""
    sha256: str = ""
    """Digest of the file."""
    facts: Mapping[str, Any] | None = None
    """How it was made, plain JSON."""

    def related(self, template: str) -> tuple[Member, ...]:
        """Members related to a template."""
        found = set(relatives(template, {each.name: each.sequence for each in self.members}))
        return tuple(each for each in self.members if each.name in found)

    def effects(self, template: str) -> "Effects":
        """Predict the effect of every substitution of a template by weights without its relatives."""
        known = self.related(template)
        groups = sorted({each.group for each in known})
        names = tuple(each.name for each in known)
        if len(groups) > 1:
            unknown = np.full((1 + MODES, len(template), len(AMINO_ACIDS)), np.nan, np.float32)
            return Effects(unknown[0], unknown[1:], self.exchange[0] * np.nan, names, is_used=False)
        row = 1 + groups[0] if groups else 0
        found = predict(self.weights[row], template)
        models = {name: None if each is None else each[row] for name, each in self.models.items()}
        return Effects(found[0], found[1:], self.exchange[row], names, is_used=True, **models)

    @property
    def models(self) -> dict[str, np.ndarray | None]:
        """Networks learned across assays, by name."""
        return {name: getattr(self, name) for name in MODELS}


@dataclass(frozen=True)
class Effects:
    """What a prior says of one template."""

    values: np.ndarray
    """float32 [L, 20]: standardised effects, the higher the better; NaN at letters outside the twenty."""
    modes: np.ndarray
    """float32 [MODES, L, 20]: by how much effects differ between assays, in the same unit."""
    exchange: np.ndarray
    """float32 [20, 20], of the residues introduced at one site."""
    left_out: tuple[str, ...]
    """Related members, which the weights have not seen."""
    is_used: bool
    """False if relatives are in several groups: no weights are without all of them."""
    new_positions: np.ndarray | None = None
    """float16 [w], network of `new_positions`; None if there is none."""
    new_positions_by_structure: np.ndarray | None = None
    """float16 [w], the one that reads the structure; None if there is none."""
    known_positions: np.ndarray | None = None
    """float16 [w], network of `known_positions`; None if there is none."""
    structure_effects: np.ndarray | None = None
    """float16 [w], network of `structure_effects`; None if there is none."""


def predict(weights: np.ndarray, template: str) -> np.ndarray:
    """Effects of every substitution of a template, float32 [k, L, 20], the first standardised over all of them.

    Args:
        weights: float [k, p], of the effects and of further directions, which get the same unit.
        template: sequence; a letter outside the twenty counts as alanine for its neighbours and is NaN itself.
    """
    effects, real = _raw(weights, template)
    if real.any():
        means = effects[:, real].mean(axis=1)
        effects = (effects - means[:, None, None]) / max(float(effects[0, real].std()), 1e-9)
    effects[:, ~real.any(axis=1)] = np.nan
    return np.asarray(effects, np.float32)


def predict_each(weights: np.ndarray, template: str) -> np.ndarray:
    """Effects of every substitution by several priors, float64 [k, L, 20], each standardised by itself; 0 if unknown.

    Args:
        weights: float [k, p], mean weights.
        template: as for `predict`.
    """
    effects, real = _raw(weights, template)
    if real.any():
        spread = np.maximum(effects[:, real].std(axis=1), 1e-9)
        effects = (effects - effects[:, real].mean(axis=1)[:, None, None]) / spread[:, None, None]
    effects[:, ~real.any(axis=1)] = 0.0
    return effects


def _raw(weights: np.ndarray, template: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights times features of every substitution, float64 [k, L, 20], and bool [L, 20], which of them are changes."""
    tokens, real = changes_of(template)
    length, n = len(template), len(AMINO_ACIDS)
    found = np.empty((len(weights), length * n))
    for start in range(0, length, _SITES_AT_ONCE):
        sites = np.arange(start, min(length, start + _SITES_AT_ONCE))
        position, new = np.repeat(sites, n), np.tile(np.arange(n), len(sites))
        features = prior_features(tokens, position, new)
        found[:, start * n : (start + len(sites)) * n] = weights @ features.T
    return found.reshape(len(weights), length, n), real


def write_prior(prior: Prior, file: Path) -> None:
    """Write a prior; the same prior gives the same bytes."""
    from safetensors.numpy import save

    from proteinx_pipelines.experiment_dir.files import write_bytes

    document = {
        "format": _FORMAT,
        "members": [[each.name, each.sequence, each.group] for each in prior.members],
        "features": FEATURES_VERSION,
        **{name: MODELS[name][1] for name, each in prior.models.items() if each is not None},
        "facts": dict(prior.facts or {}),
    }
    metadata = {"document": json.dumps(document, sort_keys=True)}  # one entry: several come in any order
    tensors = {"weights": prior.weights, "exchange": prior.exchange}
    arrays = {name: np.ascontiguousarray(each, np.float32) for name, each in tensors.items()}
    for name, networks in prior.models.items():
        if networks is not None:
            arrays[name] = np.ascontiguousarray(networks, np.float16)
    write_bytes(file, save(arrays, metadata))


def read_prior(file: Path) -> Prior:
    """Read a prior.

    Raises:
        MissingFile: it is not there. CorruptArtifact: it is no prior, or one of another version; learn it again.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MissingFile(
            f"`model.prior`: {file} cannot be read ({error.strerror}). Expected: default, none, or a file of "
            "`proteinx prior learn`."
        ) from error
    return _parsed(content, file.name)


def default_prior() -> Prior:
    """The prior of the package."""
    return _parsed(default_bytes(), FILE)


@lru_cache(maxsize=4)
def _parsed(content: bytes, name: str) -> Prior:
    from safetensors import SafetensorError

    try:
        size = int.from_bytes(content[:8], "little")
        document = json.loads(content[8 : 8 + size])["__metadata__"]
        facts = json.loads(document["document"])
        tensors = read_arrays(content)
        weights, exchange = tensors["weights"], tensors["exchange"]
        members = tuple(Member(str(a), str(b), int(c)) for a, b, c in facts["members"])
        if facts["format"] != _FORMAT or facts["features"] != FEATURES_VERSION:
            raise ValueError(f"format {facts['format']!r}, features {facts['features']!r}")
        if (
            weights.ndim != 3
            or weights.shape[1:] != (1 + MODES, n_features())
            or not np.isfinite(weights).all()
        ):
            raise ValueError(f"weights have shape {weights.shape}")
        if (
            exchange.shape != (len(weights), len(AMINO_ACIDS), len(AMINO_ACIDS))
            or not np.isfinite(exchange).all()
        ):
            raise ValueError(f"exchange has shape {exchange.shape}")
        models = {
            name: _model(name, tensors, facts, (len(weights), width), version)
            for name, (width, version) in MODELS.items()
        }
        if any(not 0 <= each.group < len(weights) - 1 for each in members):
            raise ValueError("a member is in a group without weights")
    except (ValueError, KeyError, TypeError, IndexError, SafetensorError, UnicodeDecodeError) as error:
        raise CorruptArtifact(
            f"{name} is not a prior that this version reads ({error}). Make one with `proteinx prior learn`."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    return Prior(weights.astype(np.float64), exchange, members, **models, sha256=digest, facts=facts["facts"])


def _model(
    name: str,
    tensors: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    shape: tuple[int, int],
    version: str,
) -> np.ndarray | None:
    """A model learned across assays; None where the file has none, or one of another version.

    Raises:
        KeyError, ValueError: the file is damaged.
    """
    if facts.get(name) != version:
        return None
    found = tensors[name]
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"{name} has shape {found.shape}")
    return found


def prior_of(asked: str | None, file: Path | None) -> Prior | None:
    """The prior that `model.prior` asks for; None for none.

    Args:
        asked: value of the flag.
        file: the file it names, confined by the caller.
    """
    if asked in (None, NONE):
        return None
    if asked == DEFAULT:
        return default_prior()
    return read_prior(Path(str(asked)) if file is None else file)

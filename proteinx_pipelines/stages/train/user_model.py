"""Models of the user's own in the form of scikit-learn (`user_models`): `model.name` is a plugin's name.

A class with `export` and `restore` is exported as settings and numbers, and read back, like a built-in model. Another
object cannot be written down without pickle: its predictions of the experiment's own variants are kept, so that it is
evaluated like every model, and a new sequence is refused with the reason.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import InputError, PluginError
from proteinx_pipelines.own_flags import own_flags
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.network_predictor import rows_at_once
from proteinx_pipelines.stages.train.task import Fit, FitTask, Predictor
from proteinx_pipelines.stages.train.user_plugins import plugin_entry, plugin_of, told
from proteinx_pipelines.user_models import UserModel

KEPT = "kept_predictions"
"""Entry of `model.json`'s settings of a model that cannot be exported."""
_MOST_COMPARED = 200
_CLOSE = 1e-5


def fit(task: FitTask) -> Fit:
    """Fit the plugin's model on one fold.

    Raises:
        PluginError: it is not on this node, it failed, or what it gives is not what is expected; fix the plugin.
    """
    plugin = plugin_of(task.flags.model.name)
    flags = own_flags(plugin.schema, task.flags.ext.get("model"))
    rows = task.fold.train
    with told(plugin, f"failed on {len(rows)} training rows"), _seeded(task.seed):
        estimator = _made(plugin, {} if flags is None else dict(flags), task.seed)
        estimator.fit(task.embedding.dense(rows), task.targets[rows])
    fitted = UserPredictor(plugin, estimator, {})
    lacking = _lacking(plugin, estimator)
    if lacking:
        kept = KeptPredictions.of(fitted, task.embedding, plugin, lacking)
        return Fit(kept, {"exported_model": False, "not_exported_because": lacking})
    exported = _exported(plugin, estimator)
    _compare(plugin, fitted, exported, task)
    return Fit(exported, {"exported_model": True})


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Predictor:
    """Rebuild the predictor, or the kept predictions, from the exported settings and tensors.

    Raises:
        PluginError: the plugin is not on this node, or cannot read what it wrote.
    """
    if KEPT in settings:
        return KeptPredictions(dict(settings), tensors["mean"], tensors.get("deviation"))
    plugin = plugin_of(settings["plugin"]["name"], settings["plugin"]["version"])
    with told(plugin, "cannot be restored from its exported settings and tensors"):
        estimator = plugin.make.restore(settings["own"], dict(tensors))  # type: ignore[attr-defined]
    return UserPredictor(plugin, estimator, dict(settings), dict(tensors))


class UserPredictor:
    """A fitted object of a plugin."""

    def __init__(
        self,
        plugin: UserModel,
        estimator: Any,
        settings: dict[str, Any],
        tensors: dict[str, np.ndarray] | None = None,
    ) -> None:
        self._plugin, self._estimator = plugin, estimator
        self._settings, self._tensors = settings, tensors or {}
        self._has_deviation = "return_std" in inspect.signature(estimator.predict).parameters

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        return self.both(embedding, rows)[0]

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Standard deviations, float64 [n]; None if `predict` has no `return_std`."""
        return self.both(embedding, rows)[1]

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and deviations of the rows, a batch at a time."""
        step = rows_at_once(embedding)
        pieces = [self._piece(embedding, rows[start : start + step]) for start in range(0, len(rows), step)]
        mean = np.concatenate([np.empty(0), *(piece[0] for piece in pieces)])
        if not self._has_deviation:
            return mean, None
        return mean, np.concatenate([np.empty(0), *(piece[1] for piece in pieces)])

    def settings(self) -> dict[str, Any]:
        """Plugin, its version, and the settings that it exported."""
        return dict(self._settings)

    def tensors(self) -> dict[str, np.ndarray]:
        """Numbers that it exported."""
        return dict(self._tensors)

    def _piece(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors = embedding.dense(rows)
        with told(self._plugin, f"failed to predict {len(rows)} rows"):
            given = (
                self._estimator.predict(vectors, return_std=True)
                if self._has_deviation
                else (self._estimator.predict(vectors), np.zeros(len(rows)))
            )
            mean, deviation = (np.asarray(each, dtype=np.float64).reshape(-1) for each in given)
        for what, values in (("predictions", mean), ("deviations", deviation)):
            if values.shape != (len(rows),) or not np.isfinite(values).all():
                raise PluginError(
                    f"The model {self._plugin.name!r} gave {len(values)} {what} of {len(rows)} rows, "
                    f"{int((~np.isfinite(values)).sum())} of them not finite; one number for each is expected. Fix the "
                    "plugin."
                )
        return mean, deviation


class KeptPredictions:
    """Predictions of one experiment's variants by a model that cannot be exported."""

    def __init__(self, settings: dict[str, Any], mean: np.ndarray, deviation: np.ndarray | None) -> None:
        self._settings, self._mean, self._deviation = settings, mean, deviation

    @classmethod
    def of(
        cls, predictor: UserPredictor, embedding: Embedding, plugin: UserModel, because: str
    ) -> "KeptPredictions":
        """Predict every variant of the experiment."""
        mean, deviation = predictor.both(embedding, np.arange(embedding.n_variants))
        kept = {"because": because, "variants_sha256": _digest(embedding.ids), "n": embedding.n_variants}
        return cls({"plugin": plugin_entry(plugin), KEPT: kept}, mean, deviation)

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Kept values of the rows, float64 [n].

        Raises:
            InputError: the variants are not those of the experiment.
        """
        self._check(embedding)
        return np.asarray(self._mean[rows])

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Kept deviations of the rows, float64 [n]; None if the model has none.

        Raises:
            InputError: the variants are not those of the experiment.
        """
        self._check(embedding)
        return None if self._deviation is None else np.asarray(self._deviation[rows])

    def settings(self) -> dict[str, Any]:
        """Plugin, and the reason why there is no model in the file."""
        return dict(self._settings)

    def tensors(self) -> dict[str, np.ndarray]:
        """`mean` and `deviation` of all variants of the experiment, float64 [N], in scaled units."""
        found = {"mean": self._mean}
        return found if self._deviation is None else {**found, "deviation": self._deviation}

    def _check(self, embedding: Embedding) -> None:
        kept = self._settings[KEPT]
        if embedding.n_variants == kept["n"] and _digest(embedding.ids) == kept["variants_sha256"]:
            return
        raise InputError(f"{self.why} {embedding.n_variants} others were asked for.")

    @property
    def why(self) -> str:
        """Why no other sequence can be predicted, and what to do."""
        kept = self._settings[KEPT]
        return (
            f"The model {self._settings['plugin']['name']!r} cannot be exported ({kept['because']}): only its "
            f"predictions of the experiment's {kept['n']} variants are kept. Give its class `export` and `restore`, or "
            "choose another `model.name`."
        )


def _made(plugin: UserModel, flags: dict[str, Any], seed: int) -> Any:
    arguments = inspect.signature(plugin.make).parameters
    if "random_state" in arguments and "random_state" not in flags:
        flags = {**flags, "random_state": seed}
    estimator = plugin.make(**flags)
    for name in ("fit", "predict"):
        if not callable(getattr(estimator, name, None)):
            raise TypeError(f"{type(estimator).__name__} has no `{name}`")
    return estimator


def _lacking(plugin: UserModel, estimator: Any) -> str:
    """Reason why the object cannot be exported; empty where it can."""
    lacking = [
        name
        for name, owner in (("export", estimator), ("restore", plugin.make))
        if not callable(getattr(owner, name, None))
    ]
    return f"it has no {' and no '.join(f'`{name}`' for name in lacking)}" if lacking else ""


def _exported(plugin: UserModel, estimator: Any) -> UserPredictor:
    with told(plugin, "cannot be exported"):
        own, tensors = estimator.export()
        own = json.loads(json.dumps(own, allow_nan=False))
        arrays = {str(name): np.ascontiguousarray(value) for name, value in tensors.items()}
        for name, value in arrays.items():
            if value.dtype.kind not in "fiub":
                raise TypeError(f"the tensor {name!r} has the type {value.dtype}; numbers are expected")
    settings = {"plugin": plugin_entry(plugin), "own": own}
    restored = restore(settings, arrays)
    assert isinstance(restored, UserPredictor)
    return restored


def _compare(plugin: UserModel, fitted: UserPredictor, exported: UserPredictor, task: FitTask) -> None:
    """Refuse an export that predicts otherwise than the fitted object.

    Raises:
        PluginError: it does; correct `export` or `restore`.
    """
    rows = task.fold.train[:_MOST_COMPARED]
    pairs = zip(fitted.both(task.embedding, rows), exported.both(task.embedding, rows), strict=True)
    for before, after in pairs:
        if before is None or after is None:
            same = before is after
        else:
            same = np.allclose(before, after, rtol=_CLOSE, atol=_CLOSE)
        if not same:
            raise PluginError(
                f"The model {plugin.name!r}, exported and restored, predicts otherwise than before; equal numbers are "
                "expected. Correct its `export` or `restore`."
            )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator, which scikit-learn falls back to, is seeded, and restored afterwards."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _digest(ids: pa.Array) -> str:
    digest = hashlib.sha256()
    for name in ids.to_pylist():
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()

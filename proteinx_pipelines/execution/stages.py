"""Computes each stage and stores its record; `pipeline.stages` defines the stages.

Everything heavy is imported when a stage runs, never when this table is read: the daemon and the web server
carry the table and must not carry torch. A new stage is a row in `pipeline.stages` and an entry of `COMPUTATIONS`.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.layout import SELECTED, ExperimentDir
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pipeline.stages import is_path, paths_of
from proteinx_pipelines.records import PROPERTY, REPLICATE_DEVIATION, STANDARD_ERROR, Selection, VariantTable
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.embedding.spreading import BatchSpread

Inputs = Mapping[str, Any]
"""Records of the stages that a stage reads, by their names."""


class StageContext(Protocol):
    """Requests that a stage may make to the attempt that runs it (`stage_context.Workplace`)."""

    details: Mapping[str, Any]
    """Facts about the computation for a person; part of the stage's entry, never of its key."""

    @property
    def flags(self) -> ExperimentFlags:
        """Of the experiment."""

    @property
    def directory(self) -> ExperimentDir:
        """Of the experiment."""

    @property
    def staging(self) -> ExperimentDir:
        """Folder for new files until they are published."""

    @property
    def store(self) -> StageStore:
        """Store shared by all experiments."""

    @property
    def monitor(self) -> StageMonitor:
        """Takes progress and metrics, and raises when the stage has to stop."""

    def database(self) -> Path:
        """The catalog to select from."""

    def batch_spread(self) -> BatchSpread | None:
        """What embeds batches elsewhere, with `run.shards` above 1."""
        ...

    def spread(self) -> Spread | None:
        """What computes shards of this stage elsewhere, with `run.shards` above 1."""
        ...

    def allowed_path(self, name: str, text: str | None) -> Path | None:
        """The file that a flag names, when the experiment may read it."""

    def digests_read(self) -> Mapping[str, str]:
        """Digests of what the stage reads, as they enter its key: results of stages, files, sources."""
        ...

    def resumes(self) -> bool:
        """True if an interrupted attempt at the same training left files; they are in `staging` then."""


Files = Mapping[str, Mapping[str, Any]]
"""Relative name -> `{size, sha256}`."""


def _no_options(_flags: ExperimentFlags) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Computation:
    """The code behind one stage."""

    name: str
    module: str
    """Module that holds `<NAME>_VERSION`; importing it is cheap, heavy packages are imported when it runs."""
    compute: Callable[[StageContext, Inputs], Any]
    views: Mapping[str, Callable[[Any, Files], str]] = field(default_factory=dict)
    """View of its record -> its digest, for the views that the row names besides `all`."""
    own_inputs: Mapping[str, str] = field(default_factory=dict)
    """Digest that the row names in its `own_inputs` -> the file of its own that has it."""
    save_options: Callable[[ExperimentFlags], Mapping[str, Any]] = _no_options
    """Arguments of its codec besides the record."""
    codec: str = ""
    """Module with `save` and `load`; that of its name in `experiment_dir.codecs` when empty."""

    @property
    def version(self) -> str:
        """Code version, bumped by hand beside the function it describes."""
        return str(getattr(importlib.import_module(self.module), f"{self.name.upper()}_VERSION"))

    def save(self, record: Any, directory: ExperimentDir, flags: ExperimentFlags) -> list[str]:
        """Write the record's files below `directory`; their names relative to it."""
        return list(self._codec().save(record, directory, **self.save_options(flags)))

    def load(self, directory: ExperimentDir) -> Any:
        """Read the record back.

        Raises:
            ArtifactError: a file is missing or damaged; run the stage again.
        """
        return self._codec().load(directory)

    def digests(self, record: Any, files: Files) -> dict[str, str]:
        """Content digests of a result: `all` of its files, and the parts that later stages read.

        A changed target function changes `targets` and leaves `sequences` as they are, so nothing is embedded
        again: this is the early cut-off.
        """
        listing = "\n".join(f"{name} {entry['sha256']}" for name, entry in sorted(files.items()))
        whole = hashlib.sha256(listing.encode("utf-8")).hexdigest()
        return {"all": whole, **{view: digest(record, files) for view, digest in self.views.items()}}

    def _codec(self) -> Any:
        return importlib.import_module(self.codec or f"proteinx_pipelines.experiment_dir.codecs.{self.name}")


def versions() -> dict[str, str]:
    """Stage -> version of its code installed here, as `pipeline.plan` needs it."""
    return {name: computation.version for name, computation in COMPUTATIONS.items()}


def _rows_sha256(record: Selection, files: Files) -> str:
    """Digest of the chosen rows (the file has their numbering too) and their templates, independent of the query."""
    rows = str(files[SELECTED]["sha256"])
    return sha256_of({"rows": rows, "templates": dict(record.templates)})


def _sequences_sha256(record: VariantTable, _files: Files) -> str:
    sequences = _columns_sha256(record.rows, ("id", "sequence"))
    if not record.offsets:
        return sequences
    # A file of vectors is read in the users' numbering.
    return sha256_of({"sequences": sequences, "offsets": dict(record.offsets)})


def _targets_sha256(record: VariantTable, _files: Files) -> str:
    names = ("id", "target", *map(PROPERTY.__add__, record.properties))
    if STANDARD_ERROR in record.rows.column_names:
        # A model weighs rows by it, and by replicates where it is unknown.
        further = ("n_merged", REPLICATE_DEVIATION, STANDARD_ERROR)
        names += tuple(name for name in further if name in record.rows.column_names)
    return _columns_sha256(record.rows, names)


def _columns_sha256(rows: pa.Table, columns: tuple[str, ...]) -> str:
    """SHA-256 of some columns' values, whatever their chunks: the bytes of one Arrow batch."""
    digest = hashlib.sha256()
    table = rows.select(columns).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table.replace_schema_metadata(None))
    digest.update(memoryview(sink.getvalue()))
    return digest.hexdigest()


def _selection(context: StageContext, inputs: Inputs) -> Any:  # noqa: ARG001  # one signature for all stages
    from proteinx_pipelines.stages.selection import select_variants

    flags = context.flags
    return select_variants(context.database(), flags.data, excluded=flags.design.exclude_sources)


def _transform(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.stages.transform.tasks import transformed

    return transformed(inputs["selection"], context.flags)


def _embedding(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.domain.embedders import is_language_model
    from proteinx_pipelines.evidence.gather import gather
    from proteinx_pipelines.execution.evidence_inputs import given_evidence
    from proteinx_pipelines.stages.embedding.embed import embed_variants
    from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore
    from proteinx_pipelines.stages.embedding.shared_vectors import SharedVectors

    flags = context.flags.embedding
    given = given_evidence(context.flags, context.allowed_path, context.database)
    evidence = gather(given, inputs["transform"].templates)
    if evidence is not None:
        for sentence in evidence.info["warnings"]:
            context.monitor.event("evidence_warning", text=sentence)
    file = context.allowed_path("embedding.path", flags.path)
    if not is_language_model(flags.name):  # recomputing is faster than a look-up
        embedding = embed_variants(inputs["transform"], flags, context.monitor, file=file, evidence=evidence)
        if "matched_by" in embedding.info:
            context.details = {"rows_matched": vector_rows_matched(embedding.info, embedding.n_variants)}
        return embedding
    weights = context.allowed_path("embedding.weights", flags.weights)
    shared = context.store.shared
    others = None if shared is None else SharedVectors(shared.store, shared.outgoing, context.monitor)
    with SequenceStore(context.store.sequences_dir, others) as store:
        embedding = embed_variants(
            inputs["transform"],
            flags,
            context.monitor,
            weights=weights,
            store=store,
            file=file,
            self_tests=context.store.self_tests_dir,
            spread=context.batch_spread(),
            evidence=evidence,
        )
    context.details = {
        "sequences_reused": store.n_found,
        "sequences_computed": store.n_added,
        "sequence_policy": store.folder_name(embedding.info.get("policy", embedding.info)),
    }
    return embedding


def _split(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.stages.split.assign import assign_split

    file = context.allowed_path("split.path", context.flags.split.path)
    own = context.flags.ext.get("split")
    split = assign_split(inputs["transform"], context.flags.split, file=file, own=own)
    if "matched" in split.info:
        context.details = {"rows_matched": split_rows_matched(split.info)}
    return split


def split_rows_matched(info: Mapping[str, Any]) -> str:
    """Number of variants with a line in the split file, from `Split.info`, to show beside the stage."""
    return _rows_matched(info["matched"], info["variants"], f"by {info['matched_by']}", info)


def vector_rows_matched(info: Mapping[str, Any], n_variants: int) -> str:
    """Number of variants with a row in the file of vectors, from `Embedding.info`."""
    found: Mapping[str, int] = info["matched_by"]
    kinds = [f"{kind} ({count:,})" for kind, count in found.items()] if len(found) > 1 else list(found)
    return _rows_matched(sum(found.values()), n_variants, f"by {', '.join(kinds)}", info)


def _rows_matched(n: int, n_variants: int, by: str, info: Mapping[str, Any]) -> str:
    numberings = sorted(set(info.get("numbering", {}).values()))
    read = f", in {' and '.join(numberings)} numbering" if numberings else ""
    return f"{n:,} of {n_variants:,} {by}{read}"


def _with_prior(context: StageContext, inputs: Inputs) -> Any:
    """The embedding, with the effects that the prior of `model.prior` predicts among its evidence."""
    from proteinx_pipelines.stages.train.prior import prior_of
    from proteinx_pipelines.stages.train.prior_evidence import with_prior

    asked = effective(context.flags).model.prior
    named = asked if asked is not None and is_path("model.prior", asked) else None
    prior = prior_of(asked, context.allowed_path("model.prior", named))
    return with_prior(inputs["embedding"], prior, inputs["transform"].templates)


def _resolved(context: StageContext) -> ExperimentFlags:
    """The flags, with the path of `model.weights` confined and resolved: models open it where they train."""
    return with_weights(context.flags, context.allowed_path("model.weights", context.flags.model.weights))


def with_weights(flags: ExperimentFlags, path: Path | None) -> ExperimentFlags:
    """The flags, with this file as `model.weights`."""
    if flags.model.weights is None or path is None:
        return flags
    return flags.model_copy(update={"model": flags.model.model_copy(update={"weights": str(path)})})


def _train(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.stages.train.train import train_models

    return train_models(
        inputs["transform"],
        _with_prior(context, inputs),
        inputs["split"],
        _resolved(context),
        directory=context.staging,
        monitor=context.monitor,
        checkpoint=context.allowed_path("train.ckpt_path", context.flags.train.ckpt_path),
        resume=context.resumes(),
        spread=context.spread(),
    )


def _evaluate(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models

    return evaluate_models(
        inputs["transform"],
        _with_prior(context, inputs),
        inputs["split"],
        inputs["train"],
        context.flags,
        directory=context.directory,
        monitor=context.monitor,
        spread=context.spread(),
    )


def _design(context: StageContext, inputs: Inputs) -> Any:
    from proteinx_pipelines.execution.excluded_sources import excluded_variants
    from proteinx_pipelines.execution.paths import every_path
    from proteinx_pipelines.stages.design.design import design_round
    from proteinx_pipelines.stages.design.inputs import DesignInputs

    flags = _resolved(context)
    own = {**inputs, "embedding": _with_prior(context, inputs)}
    records = DesignInputs(
        *(own[name] for name in ("selection", "transform", "embedding", "train", "evaluate"))
    )
    return design_round(
        replace(records, excluded=excluded_variants(flags.design, context.database)),
        flags,
        directory=context.staging,
        monitor=context.monitor,
        published=context.directory,
        spread=context.spread(),
        weights=context.allowed_path("embedding.weights", flags.embedding.weights),
        files=every_path(paths_of(flags, "design.path"), context.allowed_path),
        read=context.digests_read(),
    )


_PACKAGE = "proteinx_pipelines.stages"
COMPUTATIONS: dict[str, Computation] = {
    computation.name: computation
    for computation in (
        Computation(
            "selection",
            f"{_PACKAGE}.selection",
            _selection,
            views={"rows": _rows_sha256},
            own_inputs={"rows": SELECTED},
            save_options=lambda flags: {"csv": True} if flags.data.csv else {},
        ),
        Computation(
            "transform",
            f"{_PACKAGE}.transform.transform",
            _transform,
            views={"sequences": _sequences_sha256, "targets": _targets_sha256},
        ),
        Computation("embedding", f"{_PACKAGE}.embedding.embed", _embedding),
        Computation("split", f"{_PACKAGE}.split.assign", _split),
        Computation("train", f"{_PACKAGE}.train.train", _train),
        Computation("evaluate", f"{_PACKAGE}.evaluate.evaluate", _evaluate),
        Computation("design", f"{_PACKAGE}.design", _design),
    )
}
"""Name -> code, for every row of `pipeline.stages`."""

"""What is understood of an uploaded file, and the catalog that nodes read instead of it.

Runs in the process of `apart`, as `python -m proteinx_pipelines.master.datasets.checking`: one request a line on
standard input, one answer a line on standard output.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CatalogError, ProteinxError
from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.master.apart import serve
from proteinx_pipelines.master.datasets.reading import ReadingWishes

IDLE_S = 120.0
"""Seconds without a request after which the process ends."""
MOST_PROBLEMS = 200
"""Bad rows that are listed one by one."""
_SQLITE = b"SQLite format 3\0"
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


def check(file: Path, catalog: Path, name: str, wishes: ReadingWishes, most_bytes: int) -> dict[str, Any]:
    """Import a file into a catalog of its own, and describe it.

    Args:
        file: as it was uploaded, under its own name.
        catalog: where to make the catalog.
        name: of the source.
        wishes: of the sender.
        most_bytes: largest unpacked size.

    Returns:
        What was understood, as plain JSON.

    Raises:
        CatalogError: the file is refused; every cause is named, in the words of the HTTP interface.
    """
    from proteinx_pipelines.catalog.limits import refuse_endless_file

    try:
        refuse_endless_file(file, most_bytes)
        with file.open("rb") as stream:
            is_catalog = stream.read(len(_SQLITE)) == _SQLITE
        return _taken(file, catalog, name) if is_catalog else _imported(file, catalog, name, wishes)
    except CatalogError as error:
        problems = [_in_words(each, file) for each in error.problems]
        raise CatalogError.as_told(_in_words(str(error), file), problems) from error


def _imported(file: Path, catalog: Path, name: str, wishes: ReadingWishes) -> dict[str, Any]:
    from proteinx_pipelines.catalog.importing import import_file
    from proteinx_pipelines.variant_files.understood import ReadingOptions

    positions = tuple(int(part) for part in (wishes.positions or "").split(",") if part.strip())
    report = import_file(
        catalog,
        file,
        name=name,
        template=_template_file(file, wishes.template),
        mutant_column=wishes.mutant_column,
        score_column=wishes.score_column,
        bin_column=wishes.bin_column,
        offset=wishes.offset,
        skip_bad=wishes.skip_bad,
        protein=wishes.protein,
        options=ReadingOptions(
            sequence_column=wishes.sequence_column,
            separator=wishes.separator,
            decimal=wishes.decimal,
            encoding=wishes.encoding,
            sheet=wishes.sheet,
            further_columns=tuple(wishes.further_column),
            positions=positions,
        ),
    )
    return {
        **_described(catalog, name),
        "problems": [*report.causes, *report.odd],
        "skipped": list(report.problems[:MOST_PROBLEMS]),
        "notes": list(report.understood.get("notes", ())),
        "understood": report.understood,
    }


def _taken(file: Path, catalog: Path, name: str) -> dict[str, Any]:
    """A catalog of its own: its sources keep their names."""
    from proteinx_pipelines.catalog.listing import list_sources

    sources = [summary.name for summary in list_sources(file)]
    if not sources:
        raise CatalogError(f"{file} is a catalog without a source.")
    shutil.copyfile(file, catalog)
    first = name if name in sources else sources[0]
    described = _described(catalog, first)
    return {
        **described, "sources": sources, "problems": described["problems"], "skipped": [], "notes": [],
        "understood": {"form": "SQLite", "sources": sources},
    }  # fmt: skip


def _described(catalog: Path, source: str) -> dict[str, Any]:
    from proteinx_pipelines.catalog.describing import describe_source

    found = describe_source(catalog, source)
    summary = found.details.summary
    return {
        "source": source,
        "sources": [source],
        "rows": summary.rows,
        "missing_scores": summary.without_score,
        "max_mutations": summary.max_mutations,
        "score_range": [summary.min_score, summary.max_score],
        "scores": found.details.scores,
        "offset": found.offset,
        "numbering": _numbering(found.offset),
        "template": found.details.template,
        "template_length": summary.template_length,
        "histogram": {"counts": found.details.histogram, "edges": found.details.edges},
        "mutation_counts": {str(count): rows for count, rows in found.details.mutation_counts.items()},
        "per_position": found.per_position,
        "first_rows": found.details.first_rows,
        "replicates": found.replicates.mutants,
        "indels": found.indels,
        "problems": found.odd,
    }


def _numbering(offset: int) -> str:
    if not offset:
        return "positions of the template, from 1"
    return f"position {1 + offset} is the template's first residue"


def _template_file(file: Path, template: str | None) -> str | None:
    """The template as a file: as a text it would be looked for as a path on this machine."""
    if template is None:
        return None
    place = file.parent / "template-given.fasta"
    letters = "".join(template.split()).upper()
    place.write_text(f">template\n{letters}\n", encoding="ascii")
    return str(place)


def _in_words(text: str, file: Path) -> str:
    """A message of the catalog for a caller over HTTP: no folder of this machine, no option of a command."""
    text = text.replace(f"{file.parent}{os.sep}", "")
    return _OPTION.sub(lambda found: f"`{found[1].replace('-', '_')}`", text)


# ---------------------------------------------------------------------- the process of `apart`
def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = check(
            Path(request["file"]),
            Path(request["catalog"]),
            request["name"],
            ReadingWishes.model_validate(request["wishes"]),
            request["most_bytes"],
        )
    except ProteinxError as error:
        return {"code": error.code, "message": str(error), "problems": list(getattr(error, "problems", ()))}
    except MemoryError:
        return {"code": "bad_catalog", "message": TOO_MUCH, "problems": []}
    return {"found": json_ready(found)}


TOO_MUCH = "Reading the file takes more memory than one upload may. Send it unpacked, as CSV or Parquet, or in parts."


def confine(most_memory: int) -> None:
    """Bound this process's memory, and let the kernel end it before any other when memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on every platform
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_memory, most_memory))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    confine(int(sys.argv[1]))
    serve(_answer, IDLE_S)

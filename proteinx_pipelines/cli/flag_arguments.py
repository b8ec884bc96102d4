"""Flags on the command line: a file or JSON text, and pairs like `train.lr=0.01` that override it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.flags.tree import ExperimentFlags

_SHOWN = 20

if TYPE_CHECKING:
    from proteinx_pipelines.domain.known_names import KnownNames


def read_flags(
    arguments: Sequence[str], known: "KnownNames | None" = None, template: str | None = None
) -> ExperimentFlags:
    """Parse the FLAGS of a command line.

    Args:
        arguments: one file or one JSON object, pairs, or both.
        known: names that can be computed with; None where another process computes.
        template: name of a template that the pairs are added to, instead of a file.

    Raises:
        FlagError: names every problem of the file and of the pairs.
        TemplateIsASweep: the template is one of several experiments.
        click.UsageError: an argument is neither a file nor a pair, or there are two files.
    """
    from proteinx_pipelines.flags.parsing import parse_file, parse_flags

    texts = [argument for argument in arguments if argument.lstrip().startswith("{")]
    rest = [argument for argument in arguments if argument not in texts]
    files = [Path(argument) for argument in rest if _is_file(argument)]
    pairs = [argument for argument in rest if not _is_file(argument)]
    strange = [pair for pair in pairs if "=" not in pair]
    if strange:
        raise click.UsageError(
            f"{', '.join(map(repr, strange))}: neither an existing file nor a pair like train.lr=0.01."
        )
    if template is not None and (files or texts):
        raise click.UsageError("A template takes the place of a file of flags; write the rest as pairs.")
    if len(files) + len(texts) > 1:
        named = ", ".join([*map(str, files), *(f"{text[:_SHOWN]} ..." for text in texts)])
        raise click.UsageError(f"{named}: one file of flags is read; write the rest as pairs.")
    if template is not None:
        from proteinx_pipelines.flags.pairs import read_pairs
        from proteinx_pipelines.templates import template as template_of

        return parse_flags(
            template_of(template).filled_for_one(dict(read_pairs(pairs)[0])), pairs, known=known
        )
    if texts:
        return parse_flags(texts[0], pairs, known=known)
    return parse_file(files[0], pairs, known=known) if files else parse_flags({}, pairs, known=known)


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except OSError:  # longer than any path
        return False


def with_source_of(payload: str | None, arguments: Sequence[str]) -> list[str]:
    """The FLAGS, and `data.source` named after the payload where they do not name one.

    A file of flags or JSON text is complete by itself, and a database has sources of its own: nothing is added.
    """
    from proteinx_pipelines.variant_files.forms import stem_of

    complete = any(
        argument.lstrip().startswith("{")
        or argument.startswith(("data.source", "data="))
        or _is_file(argument)
        for argument in arguments
    )
    name = Path(payload or "").name
    if (
        complete
        or not name
        or name.lower().endswith((".db", ".sqlite", ".sqlite3"))
        or "://" in (payload or "")
    ):
        return list(arguments)
    return [*arguments, f"data.source={stem_of(name)}"]


def with_absolute_paths(flags: ExperimentFlags) -> ExperimentFlags:
    """Resolve every path in the flags as the shell does, so that `proteinx train` and a node find the same files."""
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.pipeline.stages import named_paths

    nested = flags.nested()
    for place, text in named_paths(flags).items():
        name, _, number = place.removesuffix("]").partition("[")
        group, flag = name.split(".")
        if number:
            nested[group][flag][int(number)] = absolute_path(text)
        else:
            nested[group][flag] = absolute_path(text)
    return parse_flags(nested)


def absolute_path(path: str | None) -> str | None:
    """Resolves a path against the current folder if the file exists there; otherwise leaves it for the node."""
    try:
        return str(Path(path).resolve()) if path and Path(path).exists() else path
    except (OSError, ValueError):  # longer than any path; the node reports it
        return path

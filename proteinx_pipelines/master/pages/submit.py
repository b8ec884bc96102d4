"""The page that asks for a job: a template, an earlier job or flags; a data set; what it would compute; then send.

    /submit?template=NAME   /submit?clone=JOB&set=split.method=position   /submit?dataset=ID

The flags are one text, as `proteinx submit` takes them; the fields above it write into that text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import Connection, select

from proteinx_pipelines.errors import FlagError, ProteinxError
from proteinx_pipelines.flags.changes import differing_from_defaults
from proteinx_pipelines.flags.parsing import parse_flags, spell
from proteinx_pipelines.flags.reference import default_text, type_text
from proteinx_pipelines.flags.schema import known_flags
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import datasets, groups
from proteinx_pipelines.master.http.access import MasterOf, Reader, Submitter
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.foreseen import foreseen
from proteinx_pipelines.master.jobs.known_names import names_known_to_nodes
from proteinx_pipelines.master.pages.frame import PageRoute, page
from proteinx_pipelines.templates import template as named_template
from proteinx_pipelines.templates import templates

router = APIRouter(route_class=PageRoute)
BLANK = "data.source=\nmodel.name=ridge\n"
_MOST = 200


@dataclass(frozen=True)
class Start:
    """What the form begins with."""

    text: str
    """Flags, one `name=value` a line."""
    title: str = ""
    """What it is a copy of."""
    dataset: str = ""
    group: str = ""
    template: str = ""
    like: str = ""
    """Job that the plan compares with."""
    grid: Mapping[str, Any] = field(default_factory=dict)
    """What varies in a sweep: dotted flag -> its values."""
    number: int = 1
    """Experiments that are sent."""


@router.get("/submit")
def show(
    request: Request,
    master: MasterOf,
    caller: Submitter,
    clone: str | None = None,
    template: str | None = None,
    dataset: str | None = None,
) -> Response:
    """The form, with the flags of a template or of an earlier job."""
    with master.database.reading() as connection:
        start = _start(connection, clone, template, dataset, request.query_params.getlist("set"))
        known = names_known_to_nodes(connection)
        context: dict[str, Any] = {
            "datasets": _datasets(connection),
            "sources": _column(connection, jobs.c.source),
            "groups": _column(connection, groups.c.name),
        }
    fields = {flag.dotted: flag for flag in known_flags()}
    return page(
        request,
        caller,
        "submit.html",
        start=start,
        templates=templates().values(),
        plan=None,
        problems=(),
        fields=[
            (name, _choices(fields[name], known), default_text(fields[name]).strip('"')) for name in FIELDS
        ],
        all_flags=[
            (flag.dotted, type_text(flag), default_text(flag), flag.meaning) for flag in known_flags()
        ],
        **context,
    )


@router.post("/submit/plan")
def plan(
    request: Request,
    master: MasterOf,
    caller: Reader,
    flags: Annotated[str, Form(max_length=1_000_000)] = "",
    like: Annotated[str, Form()] = "",
) -> Response:
    """What flags would compute, or all that is wrong with them; changes nothing."""
    with master.database.reading() as connection:
        try:
            read = parse_flags(flags, known=names_known_to_nodes(connection))
        except FlagError as error:
            return page(request, caller, "submit_plan.html", plan=None, problems=error.problems)
        found = foreseen(connection, read, like=like or None)
    return page(request, caller, "submit_plan.html", plan=found, problems=())


FIELDS = ("model.name", "embedding.name", "split.method", "split.folds", "split.seed")
"""Flags with a field of their own."""


def _start(
    connection: Connection, clone: str | None, template: str | None, dataset: str | None, changes: list[str]
) -> Start:
    if template is not None:
        chosen = named_template(template)
        text = "".join(f"{name}=\n" for name in chosen.needs) + pairs_text(chosen.flags)
        return Start(
            text + "".join(f"{line}\n" for line in changes),
            template=template,
            dataset=dataset or "",
            grid=chosen.grid,
            number=chosen.number,
        )
    if clone is None:
        text = "".join(f"{line}\n" for line in changes)
        return Start(BLANK + text, dataset=dataset or "")
    row = one(connection, clone)
    return Start(
        flags_text(row["flags"], changes),
        title=row["experiment_id"],
        dataset=dataset or row["dataset"] or "",
        group=row["group_id"] or "",
        like=clone,
    )


def flags_text(nested: Mapping[str, Any], changes: list[str]) -> str:
    """Flags that differ from their defaults, with changes, one `name=value` a line.

    Args:
        nested: as a job's row has them.
        changes: pairs that win over them.
    """
    chosen = differing_from_defaults(nested)
    for name in ("run.allow_duplicate", "trainer.log_every_n_steps"):
        chosen.pop(name, None)
    if nested.get("ext"):
        chosen["ext"] = nested["ext"]
    try:
        return spell(parse_flags(chosen, changes), "kv")
    except ProteinxError:  # written by another version: the reader mends what is told
        return pairs_text(chosen)


def pairs_text(flags: Mapping[str, Any], prefix: str = "") -> str:
    """Nested flags that are not checked, one `name=value` a line."""
    text = ""
    for name, value in flags.items():
        if isinstance(value, Mapping) and prefix == "" and "." not in name:
            text += pairs_text(value, f"{name}.")
        else:
            shown = (
                value
                if isinstance(value, str) and value.isidentifier()
                else json.dumps(value, ensure_ascii=False)
            )
            text += f"{prefix}{name}={shown}\n"
    return text


def _choices(flag: Any, known: Any) -> list[str]:
    """Values that a field offers; empty where any value of its kind may come."""
    found: list[Any] = flag.schema.get("enum") or next(
        (branch["enum"] for branch in flag.schema.get("anyOf", ()) if "enum" in branch), []
    )
    if known is not None and flag.dotted == "embedding.name":
        found = list(known.embedders)
    if known is not None and flag.dotted == "model.name":
        found = list(known.models)
    return [str(value) for value in found if value is not None]


def _datasets(connection: Connection) -> list[dict[str, Any]]:
    query = select(datasets.c.dataset_id, datasets.c.name, datasets.c.version).order_by(
        datasets.c.created_at.desc()
    )
    return [dict(row) for row in connection.execute(query.limit(_MOST)).mappings()]


def _column(connection: Connection, column: Any) -> list[str]:
    query = select(column).where(column.is_not(None)).distinct().order_by(column).limit(_MOST)
    return [str(value) for value in connection.execute(query).scalars()]

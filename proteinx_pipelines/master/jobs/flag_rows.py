"""Flags of jobs as rows, for filters: what differs from the defaults, so that a job has a few rows and not a hundred.

A default may change from one program to the next. `follow_defaults` then writes down what the old one meant.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, literal, select

from proteinx_pipelines.master.database.facts import fact, set_fact
from proteinx_pipelines.master.database.job_tables import job_flags, job_metrics, jobs
from proteinx_pipelines.master.jobs.flat_flags import flat_defaults, flat_document, spelt, spelt_text

_DEFAULTS = "flag_defaults"
_LONGEST = 200
"""Longest text in an index; PostgreSQL takes 2,700 bytes."""
_NO_DEFAULTS = {"name": "", "value": ""}
"""Row of a job to whom no default applies: training code of one's own, a message that was refused."""
_INSERT = insert(job_flags)
_NUMBERS = select(jobs.c.job_id, jobs.c.number).where(jobs.c.job_id.in_(bindparam("wanted", expanding=True)))


def key_of(value: str) -> str:
    """A text as an index takes it: a long one by its digest."""
    value = value.replace("\0", "")
    if len(value) <= _LONGEST:
        return value
    return f"{value[:100]}…{hashlib.sha256(json.dumps(value).encode()).hexdigest()}"


def write_flags(
    connection: Connection, flat: Mapping[str, Mapping[str, str]], *, have_defaults: bool = True
) -> None:
    """Write the rows of jobs that were just created.

    Args:
        connection: of the change.
        flat: id of a job -> its flags that differ from their defaults, by dotted name, as texts.
        have_defaults: false for jobs to whom no default applies: every flag that they have is given.
    """
    rows = []
    for job_id, number in connection.execute(_NUMBERS, {"wanted": list(flat)}):
        if not have_defaults:
            rows.append({**_NO_DEFAULTS, "number": number})
        rows += [
            {"name": key_of(name), "value": key_of(value), "number": number}
            for name, value in flat[job_id].items()
            if name
        ]
    if rows:
        connection.execute(_INSERT, rows)


def write_flags_again(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write the rows of a job whose row of `jobs` was put back."""
    have_defaults = row["kind"] != "run" and bool(row["flags"])
    defaults = flat_defaults() if have_defaults else {}
    if row["kind"] == "run":
        flat = {str(name): spelt(value) for name, value in row["flags"].items()}
    else:
        flat = flat_document(row["flags"])
    differing = {name: value for name, value in flat.items() if defaults.get(name) != value}
    write_flags(connection, {row["job_id"]: differing}, have_defaults=have_defaults)


def remove_rows(connection: Connection, number: int) -> None:
    """Delete the rows of a job, flags and metrics."""
    for table in (job_flags, job_metrics):
        connection.execute(delete(table).where(table.c.number == number))


def has_flag(name: str, value: str) -> ColumnElement[bool]:
    """The condition on `jobs` that a flag has a value, as typed on a command line."""
    wanted, number = spelt_text(value), jobs.c.number
    named = select(job_flags.c.number).where(job_flags.c.name == key_of(name))
    if flat_defaults().get(name) != wanted:
        return number.in_(named.where(job_flags.c.value == key_of(wanted)))
    others = named.where(job_flags.c.value != key_of(wanted))
    without = select(job_flags.c.number).where(job_flags.c.name == "")
    same = named.where(job_flags.c.value == key_of(wanted))
    return number.not_in(others) & (number.not_in(without) | number.in_(same))


def follow_defaults(connection: Connection) -> list[str]:
    """Write down flags whose default has changed since the rows were written; returns their names."""
    now, before = flat_defaults(), fact(connection, _DEFAULTS)
    if before == now:
        return []
    changed = [name for name in {**now, **(before or {})} if (before or now).get(name) != now.get(name)]
    without = select(job_flags.c.number).where(job_flags.c.name == "")
    for name in changed:
        named = select(job_flags.c.number).where(job_flags.c.name == name)
        old = (before or {}).get(name)
        if old is not None:
            meant = select(literal(name), literal(key_of(old)), jobs.c.number).where(
                jobs.c.number.not_in(named), jobs.c.number.not_in(without)
            )
            connection.execute(insert(job_flags).from_select(["name", "value", "number"], meant))
    set_fact(connection, _DEFAULTS, now)
    return changed

"""Groups and units as rows: made, listed, submitted, counted."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import FlagError, InputError, MessageError
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import groups, units
from proteinx_pipelines.master.groups.expanding import UnitRequest, variations
from proteinx_pipelines.master.jobs.changes import changed
from proteinx_pipelines.master.jobs.creating import Checked, JobRequest, check, create
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.templates import template


class UnknownGroup(InputError):
    """There is no group of this id or name."""

    code = "unknown_group"


class UnknownUnit(InputError):
    """There is no unit of this id."""

    code = "unknown_unit"


def make_group(connection: Connection, name: str, description: str | None, caller: str) -> dict[str, Any]:
    """Make a group; one of the same name is given back."""
    known = connection.execute(select(groups.c.group_id).where(groups.c.name == name)).scalar()
    if known is None:
        known = f"g-{secrets.token_hex(6)}"
        values = {
            "group_id": known, "name": name, "description": description, "created_by": caller,
            "created_at": timestamp(),
        }  # fmt: skip
        connection.execute(insert(groups), values)
        events.record(connection, "group.created", {"group_id": known, "name": name})
    return group_document(connection, str(known))


def group_row(connection: Connection, group_id: str) -> dict[str, Any]:
    """The row of a group, by id or name.

    Raises:
        UnknownGroup: there is none.
    """
    query = select(groups).where((groups.c.group_id == group_id) | (groups.c.name == group_id))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise UnknownGroup(f"There is no group {group_id[:100]!r}. `GET /api/groups` lists them.")
    return dict(row)


def group_document(connection: Connection, group_id: str) -> dict[str, Any]:
    """A group with its units and the count of its jobs by state."""
    row = group_row(connection, group_id)
    found = connection.execute(
        select(units).where(units.c.group_id == row["group_id"]).order_by(units.c.created_at)
    ).mappings()
    return {
        **row,
        "counts": _counts(connection, jobs.c.group_id == row["group_id"]),
        "units": [unit_document(connection, dict(each)) for each in found],
    }


def all_groups(connection: Connection) -> list[dict[str, Any]]:
    """Every group with its counts, newest first."""
    rows = connection.execute(select(groups).order_by(groups.c.created_at.desc())).mappings().all()
    return [{**row, "counts": _counts(connection, jobs.c.group_id == row["group_id"])} for row in rows]


def make_unit(connection: Connection, group_id: str, unit: UnitRequest) -> dict[str, Any]:
    """Keep a unit in a group; nothing is submitted yet.

    Raises:
        UnknownGroup: there is no such group.
        FlagError: an experiment of the unit has wrong flags.
        BadUnit: the unit cannot be expanded.
    """
    group = group_row(connection, group_id)
    requests_of(unit)
    values = {
        "unit_id": f"u-{secrets.token_hex(6)}",
        "group_id": group["group_id"],
        "definition": unit.model_dump(mode="json", by_alias=True, exclude_none=True),
        "state": "NEW",
        "created_at": timestamp(),
    }
    connection.execute(insert(units), values)
    return unit_document(connection, unit_row(connection, values["unit_id"]))


def unit_row(connection: Connection, unit_id: str) -> dict[str, Any]:
    """The row of a unit.

    Raises:
        UnknownUnit: there is none.
    """
    row = connection.execute(select(units).where(units.c.unit_id == unit_id)).mappings().one_or_none()
    if row is None:
        raise UnknownUnit(f"There is no unit {unit_id[:100]!r}. `GET /api/groups/ID` lists a group's units.")
    return dict(row)


def unit_document(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    """A unit with the count of its jobs by state. `state`: NEW, SUBMITTED, or ENDED when every job has ended."""
    counts = _counts(connection, jobs.c.unit_id == row["unit_id"])
    state = row["state"]
    wanted = row["definition"].get("n", 0) if "search" in row["definition"] else 0
    if state == "SUBMITTED" and counts["total"] >= wanted and counts["total"] == counts["ended"]:
        state = "ENDED"
    return {**row, "state": state, "counts": counts}


def submit_unit(connection: Connection, unit_id: str, *, caller: str) -> dict[str, Any]:
    """Create the jobs of a unit, once; submitted again, it answers as it stands.

    Raises:
        UnknownUnit: there is none.
        FlagError: a flag is not known any more.
    """
    row = unit_row(connection, unit_id)
    if row["state"] == "NEW":
        unit = UnitRequest.model_validate(row["definition"])
        for checked in requests_of(unit):
            create(connection, checked, caller=caller, unit_id=row["unit_id"], group_id=row["group_id"])
        values = {"state": "SUBMITTED", "submitted_at": timestamp()}
        connection.execute(update(units).where(units.c.unit_id == unit_id).values(**values))
        events.record(connection, "unit.submitted", {"unit_id": unit_id, "group_id": row["group_id"]})
    return unit_document(connection, unit_row(connection, unit_id))


def requests_of(unit: UnitRequest) -> Sequence[Checked]:
    """The checked requests of a unit, in order; a search has none until it is told results.

    Raises:
        FlagError: flags of one of them have problems; it says which.
        BadUnit: the unit cannot be expanded.
        UnknownTemplate: there is no such template.
        TemplateNeeds: the template needs a flag that is missing.
    """
    return [request_of(unit, changes, number) for number, changes in enumerate(variations(unit))]


def request_of(unit: UnitRequest, changes: Mapping[str, Any], number: int) -> Checked:
    """The checked request of one experiment of a unit."""
    flags = changed(unit.flags, {}) if unit.template is None else template(unit.template).filled(unit.flags)
    try:
        request = JobRequest(
            flags=changed(changed({}, flags), changes), priority=unit.priority, dataset=unit.dataset
        )
        return check(request)
    except (FlagError, MessageError) as error:
        raise FlagError([f"experiment {number}: {problem}" for problem in error.problems]) from error


def _counts(connection: Connection, condition: Any) -> dict[str, int]:
    query = select(jobs.c.state, func.count()).where(condition).group_by(jobs.c.state)
    found = {state: int(number) for state, number in connection.execute(query)}
    ended = sum(number for state, number in found.items() if state in ENDED)
    return {**found, "total": sum(found.values()), "ended": ended}

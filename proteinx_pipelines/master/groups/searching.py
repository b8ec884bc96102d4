"""Searches by Optuna: ask for flags, submit them as a job, tell what came of it. Resumable: rows are its memory.

At each step a study is made anew from the rows of the unit's jobs, so that a Master that was killed goes on where it
was. Optuna is an extra.
"""

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from proteinx_pipelines.errors import MissingPackage
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import units
from proteinx_pipelines.master.groups.expanding import Range, UnitRequest
from proteinx_pipelines.master.groups.keeping import request_of
from proteinx_pipelines.master.jobs.creating import create
from proteinx_pipelines.master.jobs.flat_flags import spelt
from proteinx_pipelines.master.jobs.states import OPEN

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)


def go_on(connection: Connection) -> int:
    """Submit what the running searches ask for; returns the number of new jobs."""
    query = select(units).where(units.c.state == "SUBMITTED")
    rows = [row for row in connection.execute(query).mappings() if "search" in row["definition"]]
    return sum(_go_on(connection, dict(row)) for row in rows)


def refuse_without_optuna() -> None:
    """Check that Optuna can be imported.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingPackage(
            "A `search` needs Optuna, which is not installed here. Install it with: "
            "pip install 'proteinx-infra[search]'; a `grid`, `list` or `draw` needs nothing."
        ) from error


def _go_on(connection: Connection, row: dict[str, Any]) -> int:
    unit = UnitRequest.model_validate(row["definition"])
    query = select(jobs).where(jobs.c.unit_id == row["unit_id"]).order_by(jobs.c.number)
    past = [dict(each) for each in connection.execute(query).mappings()]
    room = min(unit.n - len(past), unit.at_once - sum(job["state"] in OPEN for job in past))
    if room <= 0:
        return 0
    study = _study(unit, past)
    for number in range(len(past), len(past) + room):
        trial = study.ask()
        changes = {name: _suggest(trial, name, each) for name, each in (unit.search or {}).items()}
        create(
            connection,
            request_of(unit, changes, number),
            caller=f"search {row['unit_id']}",
            unit_id=row["unit_id"],
            group_id=row["group_id"],
            note=f"trial {number}",
        )
    return room


def _study(unit: UnitRequest, past: list[dict[str, Any]]) -> "optuna.Study":
    """The study as it stands after the jobs there are."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=unit.seed + len(past), constant_liar=True)
    study = optuna.create_study(direction=unit.direction, sampler=sampler)
    spaces = {name: _distribution(each) for name, each in (unit.search or {}).items()}
    for job in past:
        value = (job["summary"] or {}).get(unit.metric)
        state = optuna.trial.TrialState.COMPLETE
        if job["state"] in OPEN:
            state, value = optuna.trial.TrialState.RUNNING, None
        elif value is None:
            state = optuna.trial.TrialState.FAIL
        known = {name: _value(job, name, each) for name, each in (unit.search or {}).items()}
        study.add_trial(
            optuna.trial.create_trial(state=state, params=known, distributions=spaces, value=value)
        )
    return study


def _value(job: dict[str, Any], name: str, each: Range) -> Any:
    """The value that a job has of a flag."""
    found: Any = job["flags"]
    for part in name.split("."):
        found = found[part]
    if each.choices is not None:  # Optuna compares with its own list
        return next(choice for choice in each.choices if spelt(choice) == spelt(found))
    return found


def _distribution(each: Range) -> Any:
    import optuna

    if each.choices is not None:
        return optuna.distributions.CategoricalDistribution(each.choices)
    if each.integer:
        return optuna.distributions.IntDistribution(int(each.low or 0), int(each.high or 0), log=each.log)
    return optuna.distributions.FloatDistribution(float(each.low or 0), float(each.high or 0), log=each.log)


def _suggest(trial: "optuna.Trial", name: str, each: Range) -> Any:
    if each.choices is not None:
        return trial.suggest_categorical(name, each.choices)
    if each.integer:
        return trial.suggest_int(name, int(each.low or 0), int(each.high or 0), log=each.log)
    return trial.suggest_float(name, float(each.low or 0), float(each.high or 0), log=each.log)

"""The pages of campaigns: rounds led in this WORKDIR, and simulated ones as runs; the command that simulates."""

import shlex
from typing import Any

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.campaigns import all_campaigns, describe_campaign
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.listing import JobFilter, list_jobs
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)
SIMULATION = "simulation-"
"""Begin of the name of every run that `proteinx simulate --master` reports."""
ACQUISITIONS = ("", "greedy", "ucb", "ei", "pi", "thompson")
_DEFAULTS = {"start": 96, "rounds": 4, "batch": 96, "seeds": 70}


@router.get("/campaigns")
def show(request: Request, master: MasterOf, caller: Reader) -> Response:
    """Campaigns, newest first; simulated ones with what they do now; the command of the form's values."""
    with master.database.reading() as connection:
        wanted = JobFilter.parse({"kind": "run", "q": SIMULATION})
        found = list_jobs(connection, wanted, sort="-created_at", page=1, size=50).document()["items"]
    given = request.query_params
    asked = {name: _whole(given.get(name), default) for name, default in _DEFAULTS.items()}
    flags, acquisition = given.get("flags", ""), given.get("acquisition", "")
    return page(
        request,
        caller,
        "campaigns.html",
        campaigns=all_campaigns(master),
        simulations=[job for job in found if job["experiment_id"].startswith(SIMULATION)],
        asked=asked,
        flags=flags,
        acquisition=acquisition if acquisition in ACQUISITIONS else "",
        acquisitions=ACQUISITIONS,
        problems=_problems(flags) if flags.strip() else [],
        command=_command(flags, asked, acquisition, str(request.base_url).rstrip("/")),
    )


@router.get("/campaigns/{campaign_id}")
def one(campaign_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """One campaign: a row for each round."""
    return page(request, caller, "campaign.html", campaign=describe_campaign(master, campaign_id))


def _command(flags: str, asked: dict[str, int], acquisition: str, address: str) -> str:
    words: list[Any] = ["proteinx", "simulate", *(flags.split() or ["data.source=..."])]
    for name, value in asked.items():
        words += [f"--{name}", value]
    if acquisition in ACQUISITIONS[1:]:
        words += ["--acquisition", acquisition]
    return shlex.join(map(str, [*words, "--master", address]))


def _problems(flags: str) -> list[str]:
    try:
        parse_flags("\n".join(flags.split()))
    except ProteinxError as error:
        return [str(error)]
    return []


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and 0 < int(text[:7]) < 1_000_000 else default

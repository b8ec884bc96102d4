"""Campaigns in the WORKDIR of the Master's machine: `proteinx round` leads them, the Master shows them."""

import re
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import MissingFile
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir, campaigns_of
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.services.rounds import Place, document_of, find_campaign, state_of

_REPORT = re.compile(r'href="\.\./\.\./\.\./experiments/([A-Za-z0-9._-]+)/artifacts/report\.html"')
"""Link from a page in the WORKDIR to a report there."""


def all_campaigns(master: Master) -> list[dict[str, Any]]:
    """Each campaign in short, the one that was changed last first. Not for the event loop."""
    found = list(campaigns_of(master.settings.node.paths.campaigns_dir))
    return [
        {
            "campaign_id": each.campaign_id,
            "created_at": each.created_at,
            "source": each.first_source,
            "rounds": len(each.rounds),
            "state": state_of(each),
            "measured": sum(one.measured.n_of_plate for one in each.rounds if one.measured is not None),
        }
        for each in reversed(found)
        if each.rounds
    ]


def describe_campaign(master: Master, campaign_id: str) -> dict[str, Any]:
    """One campaign, with what was judged of each round. Not for the event loop.

    Raises:
        MissingFile: there is none of this name.
    """
    return document_of(_place(master), _open(master, campaign_id).read())


def plate_of_round(master: Master, campaign_id: str, number: int) -> Path:
    """The table to order from.

    Raises:
        MissingFile: there is no such campaign or round, or its plate is not proposed yet.
    """
    return _there(_open(master, campaign_id).plate(number), campaign_id, number, "plate")


def page_of_round(master: Master, campaign_id: str, number: int) -> str:
    """The page of a round, whose link to the report leads to the experiment's jobs.

    Raises:
        MissingFile: there is no such campaign or round, or it has no page yet.
    """
    path = _there(_open(master, campaign_id).page(number), campaign_id, number, "page")
    return _REPORT.sub(r'href="/jobs?experiment_id=\1"', path.read_text(encoding="utf-8"))


def _there(path: Path, campaign_id: str, number: int, what: str) -> Path:
    if not path.is_file():
        raise MissingFile(
            f"Round {number} of {campaign_id} has no {what} yet: `proteinx round status --id {campaign_id}` says what "
            "it waits for."
        )
    return path


def _open(master: Master, campaign_id: str) -> CampaignDir:
    place = _place(master)
    if campaign_id not in CampaignDir.known_ids(place.campaigns_dir):
        raise MissingFile(
            f"There is no campaign {campaign_id[:100]!r} in the Master's WORKDIR: `proteinx round start` begins one."
        )
    return find_campaign(place, campaign_id)


def _place(master: Master) -> Place:
    node = master.settings.node
    return Place(node.paths.campaigns_dir, node.database_path)

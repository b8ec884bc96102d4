"""Paths of one campaign, `<WORKDIR>/campaigns/<id>/`, and its document. No other module joins a path inside it.

campaign.json
round_<n>/  plate.csv          what to order, with a column for what will be measured
            measured.<ending>  the file as it was given
            round.json  round.html    predicted then, measured now
"""

import re
from collections.abc import Iterator
from pathlib import Path

from proteinx_pipelines.contract.campaign import CampaignDocument
from proteinx_pipelines.experiment_dir.files import facts_of, write_json
from proteinx_pipelines.experiment_id import check_experiment_id

_DOCUMENT = "campaign.json"
_ENDING = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}$")


class CampaignDir:
    """Paths of one campaign. Creates nothing."""

    def __init__(self, campaigns_dir: Path, campaign_id: str) -> None:
        self.campaign_id = check_experiment_id(campaign_id)
        self.root = campaigns_dir / self.campaign_id

    @classmethod
    def known_ids(cls, campaigns_dir: Path) -> list[str]:
        """Ids of the campaigns, oldest document first."""
        found = campaigns_dir.glob(f"*/{_DOCUMENT}")
        ages = [(facts.st_mtime, path) for path in found if (facts := facts_of(path)) is not None]
        return [path.parent.name for _, path in sorted(ages)]

    @property
    def document(self) -> Path:
        """`campaign.json`."""
        return self.root / _DOCUMENT

    def round_dir(self, number: int) -> Path:
        """`round_<n>/`."""
        return self.root / f"round_{number}"

    def plate(self, number: int) -> Path:
        """`round_<n>/plate.csv`."""
        return self.round_dir(number) / "plate.csv"

    def measured(self, number: int, given: str) -> Path:
        """`round_<n>/measured.<ending>`: copy of a file of this name."""
        ending = _ENDING.search(given)
        return self.round_dir(number) / f"measured{ending[0].lower() if ending else ''}"

    def judged(self, number: int) -> Path:
        """`round_<n>/round.json`: what was promised and what was measured."""
        return self.round_dir(number) / "round.json"

    def page(self, number: int) -> Path:
        """`round_<n>/round.html`."""
        return self.round_dir(number) / "round.html"

    def name_of(self, path: Path) -> str:
        """Name of a file as the document lists it."""
        return path.relative_to(self.root).as_posix()

    def read(self) -> CampaignDocument:
        """Read `campaign.json`.

        Raises:
            FileNotFoundError: there is none. ValueError: it is not one.
        """
        return CampaignDocument.model_validate_json(self.document.read_bytes())

    def write(self, document: CampaignDocument) -> None:
        """Write `campaign.json` atomically."""
        write_json(self.document, document.document())


def campaigns_of(campaigns_dir: Path) -> Iterator[CampaignDocument]:
    """Documents of all campaigns; unreadable ones are left out."""
    for name in CampaignDir.known_ids(campaigns_dir):
        try:
            yield CampaignDir(campaigns_dir, name).read()
        except (OSError, ValueError):
            continue

"""Campaigns: a chain of experiments with the plates between them.

    start -> [experiment of round 1] -> propose -> plate -> the lab -> measured -> [experiment of round 2] -> ...

A round's experiment is an ordinary one with `design.*` flags; its design stage makes the proposals. What is measured of
a plate becomes a source of its own, and with all earlier rows the source of the next round.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from proteinx_pipelines.catalog.combining import combine_sources
from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.base import FileFact
from proteinx_pipelines.contract.campaign import CampaignDocument, MeasuredPlate, Plate, Round
from proteinx_pipelines.errors import RoundRefused
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.nearest import did_you_mean

Via = Literal["hand", "queue"]


class Runner(Protocol):
    """Runs the experiment of a round to its end."""

    @property
    def via(self) -> Via:
        """Where it runs: `hand` in this process, `queue` on a node."""

    def run(self, experiment_id: str, flags: ExperimentFlags) -> None:
        """Run it; a known experiment runs again with other flags, and computes only what they change.

        Raises:
            ProteinxError: it failed; the message gives the reason.
        """

    def is_done(self, experiment_id: str) -> bool:
        """True if the experiment has succeeded with a design."""


class Proposer(Protocol):
    """Reads the proposals of a finished experiment and writes the plate."""

    def write_plate(self, experiment_id: str, target: Path) -> tuple[int, int]:
        """Write the plate; returns the numbers of proposed variants and of controls.

        Raises:
            MissingArtifact: the experiment has made no proposals.
        """


class Judge(Protocol):
    """Compares what was promised with what was measured, and writes the pages."""

    def judge(self, campaign: CampaignDocument, number: int) -> Mapping[str, Any]:
        """Compare; writes `round.json` and the page of a measured round, and returns the document."""

    def page(self, campaign: CampaignDocument, number: int) -> Path:
        """Write the page of a round as it stands now."""


@dataclass(frozen=True)
class Place:
    """Where campaigns are."""

    campaigns_dir: Path
    database: Path

    def directory(self, campaign_id: str) -> CampaignDir:
        """Folder of a campaign."""
        return CampaignDir(self.campaigns_dir, campaign_id)


def find_campaign(place: Place, campaign_id: str | None) -> CampaignDir:
    """Open a campaign; the newest one when none is named.

    Raises:
        RoundRefused: there is none, or none of this name.
    """
    known = CampaignDir.known_ids(place.campaigns_dir)
    if campaign_id is None:
        if not known:
            raise RoundRefused(
                f"There is no campaign in {place.campaigns_dir}. `proteinx round start data.source=NAME` begins one."
            )
        if len(known) > 1:
            raise RoundRefused(
                f"There are {len(known)} campaigns: {', '.join(known[-10:])}. Name one with --id."
            )
        return place.directory(known[0])
    if campaign_id not in known:
        raise RoundRefused(
            f"There is no campaign {campaign_id!r}.{did_you_mean(campaign_id, known)} `proteinx round status` lists "
            "them, `proteinx round start` begins one."
        )
    return place.directory(campaign_id)


def start(
    place: Place, campaign_id: str, flags: ExperimentFlags, runner: Runner, judge: Judge
) -> CampaignDocument:
    """Begin a campaign, and run the experiment of its first round.

    A start that was broken off is continued by the same command.

    Raises:
        RoundRefused: the campaign exists with other flags or has a plate, or the flags name several sources or another
            one to design.
    """
    directory = place.directory(campaign_id)
    if len(flags.data.source) != 1:
        raise RoundRefused(
            f"`data.source` names {len(flags.data.source)} sources; a campaign is about one protein: name one source."
        )
    (source,) = flags.data.source
    _refuse_other_source(flags, source)
    if directory.document.is_file():
        found = directory.read()
        if found.flags != flags.nested() or found.rounds[-1].plate is not None:
            raise RoundRefused(
                f"The campaign {campaign_id!r} exists already, with {len(found.rounds)} rounds. Choose another --id, "
                "or go on with `proteinx round propose`."
            )
    else:
        found = CampaignDocument(
            campaign_id=campaign_id, created_at=timestamp(), first_source=source, flags=flags.nested()
        )
        found = _with_round(found, source, runner.via)
        directory.write(found)
    return _run(found, flags, runner, judge)


def _with_round(campaign: CampaignDocument, source: str, via: Via) -> CampaignDocument:
    number = len(campaign.rounds) + 1
    opened = Round(
        number=number, experiment_id=f"{campaign.campaign_id}-round-{number}", source=source, opened_at=timestamp(),
        via=via,
    )  # fmt: skip
    return campaign.model_copy(update={"rounds": [*campaign.rounds, opened]})


def _run(
    campaign: CampaignDocument, flags: ExperimentFlags, runner: Runner, judge: Judge
) -> CampaignDocument:
    """Run the open round's experiment, and write the round's page."""
    current = campaign.rounds[-1]
    runner.run(current.experiment_id, flags_of_round(flags, current.source))
    judge.page(campaign, current.number)
    if current.number > 1:  # the last round's page tells what is expected of this one
        judge.page(campaign, current.number - 1)
    return campaign


def flags_of_round(flags: ExperimentFlags, source: str) -> ExperimentFlags:
    """Flags of a round's experiment: the campaign's, on the round's source."""
    data = flags.data.model_copy(update={"source": (source,)})
    design = flags.design.model_copy(update={"source": None})
    return flags.model_copy(update={"data": data, "design": design})


def propose(
    place: Place,
    campaign_id: str | None,
    runner: Runner,
    proposer: Proposer,
    judge: Judge,
    read_flags: Callable[[Mapping[str, Any]], ExperimentFlags],
    changed: Mapping[str, Any],
) -> CampaignDocument:
    """Write the plate of the open round; with changed `design.*` flags, choose it anew first.

    Args:
        place: where campaigns are.
        campaign_id: None for the only one.
        runner: runs the experiment where it has not been run, or with the changed flags.
        proposer: writes the plate.
        judge: writes the page.
        read_flags: parses the campaign's flags.
        changed: `design.*` flags by dotted name; they hold for later rounds too.

    Raises:
        RoundRefused: there is no such campaign. MissingArtifact: the experiment has no proposals.
    """
    directory = find_campaign(place, campaign_id)
    campaign = directory.read()
    current = campaign.rounds[-1]
    if changed:
        flags = read_flags(_merged(campaign.flags, changed))
        _refuse_other_source(flags, campaign.first_source)
        campaign = campaign.model_copy(update={"flags": flags.nested()})
    if changed or not runner.is_done(current.experiment_id):
        flags = read_flags(campaign.flags)
        runner.run(current.experiment_id, flags_of_round(flags, current.source))
        directory.write(campaign)
    target = directory.plate(current.number)
    proposed, controls = proposer.write_plate(current.experiment_id, target)
    plate = Plate(
        name=directory.name_of(target), fact=_fact(target), n_proposed=proposed, n_controls=controls,
        proposed_at=timestamp(),
    )  # fmt: skip
    campaign = _replaced(campaign, current.model_copy(update={"plate": plate}))
    directory.write(campaign)
    judge.page(campaign, current.number)
    return campaign


def _refuse_other_source(flags: ExperimentFlags, first: str) -> None:
    """Refuse a `design.source` that a round would not follow: it is always about its own data.

    Raises:
        RoundRefused: it names another source than the campaign's first one.
    """
    if flags.design.source not in (None, (first,)):
        named = ", ".join(flags.design.source or ())
        raise RoundRefused(
            f"`design.source` names {named}; every round is about its own data, which begin with {first}. Leave it "
            "out; `design.exclude_sources` names sources whose variants are not to be made."
        )


def _merged(flags: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        group: dict(values) if isinstance(values, Mapping) else values for group, values in flags.items()
    }
    for name, value in changed.items():
        group, _, field = name.partition(".")
        found.setdefault(group, {})[field] = value
    return found


class Importer(Protocol):
    """Reads and imports the file of a measured plate."""

    def look(self, file: Path, like: str) -> Mapping[str, bool]:
        """Mutants of a file, in positions of the template of the source `like` -> whether one has a score.

        Raises:
            CatalogError: the file has bad rows; all causes are named.
        """

    def take(self, file: Path, name: str, like: str) -> tuple[int, int]:
        """Import a file as the source `name`, in the protein and numbering of the source `like`.

        Returns:
            Its rows, and those of them without a score.
        """

    def proposed(self, plate: Path, like: str) -> Mapping[str, str]:
        """Proposed mutants of a plate, without controls, in positions of the template -> as the plate has them."""


def measured(
    place: Place,
    campaign_id: str | None,
    file: Path,
    *,
    importer: Importer,
    runner: Runner,
    judge: Judge,
    read_flags: Callable[[Mapping[str, Any]], ExperimentFlags],
) -> tuple[CampaignDocument, Mapping[str, Any]]:
    """Take in what was measured of the open round's plate: judge the promise, and run the next round's experiment.

    A step that was broken off after the file was taken in is continued by `propose`.

    Returns:
        The campaign, and what was promised and measured.

    Raises:
        RoundRefused: no plate is open, or the file has none of its variants. CatalogError: the file is refused.
    """
    directory = find_campaign(place, campaign_id)
    campaign = directory.read()
    current = campaign.rounds[-1]
    if current.plate is None:
        raise RoundRefused(
            f"Round {current.number} of {campaign.campaign_id} has no plate yet. Write it with `proteinx round "
            "propose`; what was measured before belongs into `proteinx db import`."
        )
    found = importer.look(file, current.source)
    wanted = importer.proposed(directory.plate(current.number), current.source)
    there = [mutant for mutant in wanted if found.get(mutant)]
    if not there:
        raise RoundRefused(
            f"{file.name} has a score for none of the {len(wanted)} variants of the plate of round {current.number} "
            f"({', '.join([*wanted.values()][:3])}, ...). Nothing was imported; give the file of this plate."
        )
    source = f"{campaign.campaign_id}-plate-{current.number}"
    rows, without = importer.take(file, source, current.source)
    copy = directory.measured(current.number, file.name)
    shutil.copyfile(file, copy)
    fact = MeasuredPlate(
        name=directory.name_of(copy), given_as=file.name, fact=_fact(copy), source=source,
        n_rows=rows - without, n_of_plate=len(there), n_missing=len(wanted) - len(there),
        n_others=sum(has_score for mutant, has_score in found.items() if mutant not in set(wanted)),
        measured_at=timestamp(),
    )  # fmt: skip
    combined = f"{campaign.campaign_id}-round-{current.number + 1}"
    combine_sources(
        place.database, (current.source, source), combined,
        {"campaign": campaign.campaign_id, "round": current.number + 1, "plate_sha256": fact.fact.sha256},
    )  # fmt: skip
    campaign = _replaced(campaign, current.model_copy(update={"measured": fact}))
    campaign = _with_round(campaign, combined, runner.via)
    directory.write(campaign)
    judged = judge.judge(campaign, current.number)
    return _run(campaign, read_flags(campaign.flags), runner, judge), judged


def _replaced(campaign: CampaignDocument, changed: Round) -> CampaignDocument:
    rounds = [changed if each.number == changed.number else each for each in campaign.rounds]
    return campaign.model_copy(update={"rounds": rounds})


def _fact(path: Path) -> FileFact:
    return FileFact(size=path.stat().st_size, sha256=file_sha256(path))


def document_of(place: Place, campaign: CampaignDocument) -> dict[str, Any]:
    """The campaign for a program: its document, what was judged of each round, and the newest page."""
    directory = place.directory(campaign.campaign_id)
    document = campaign.document()
    for each in document["rounds"]:
        judged = directory.judged(each["number"])
        each["judged"] = read_json(judged) if judged.is_file() else None
        each["page"] = str(directory.page(each["number"]))
    done = [each for each in document["rounds"] if each["measured"]]
    shown = done[-1] if done and not document["rounds"][-1]["plate"] else document["rounds"][-1]
    document["page"] = shown["page"]
    document["state"] = state_of(campaign)
    return document


def state_of(campaign: CampaignDocument) -> str:
    """`to propose` or `to measure`: what the open round waits for."""
    return "to propose" if campaign.rounds[-1].plate is None else "to measure"

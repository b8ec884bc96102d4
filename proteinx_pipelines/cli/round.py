"""`proteinx round`: a campaign of experiments with the plates between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import campaign_ids, flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples
from proteinx_pipelines.cli.variant_table import tell_shortfalls
from proteinx_pipelines.visible import indented

if TYPE_CHECKING:
    from proteinx_pipelines.contract.campaign import CampaignDocument
    from proteinx_pipelines.flags.design import DesignFlags
    from proteinx_pipelines.services.rounds import Place, Runner
    from proteinx_pipelines.settings import Settings

_ID = click.option(
    "--id",
    "campaign_id",
    shell_complete=campaign_ids,
    help="Name of the campaign; may be omitted where there is only one.",
)
_QUEUE = click.option(
    "--queue", is_flag=True, help="Send the experiments to the node; otherwise they run in this process."
)


@click.group(name="round")
def round_() -> None:
    r"""Lead a campaign: propose a plate, take in what was measured, learn, propose the next one.

    \b
        start -> propose -> (the lab) -> measured FILE -> propose -> ...

    Each round is an experiment, `<campaign>-round-<n>`. What is measured of its plate is a source of its own,
    `<campaign>-plate-<n>`, and with everything before it the data of the next round. Every round has a page: the plate,
    and what was predicted then and is measured now.
    """


@round_.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx round start data.source=GB1 --id gb1",
        "proteinx round start data.source=GB1 design.library=combinations design.positions=39,40,41,54 design.n=96",
    ),
)
@click.argument("flags", nargs=-1, required=True, shell_complete=flag_pairs)
@click.option(
    "--id",
    "campaign_id",
    shell_complete=campaign_ids,
    help="Name of the campaign; that of the source if omitted.",
)
@_QUEUE
@json_option
def start(flags: tuple[str, ...], campaign_id: str | None, queue: bool, as_json: bool) -> None:
    """Begin a campaign with what is measured so far, and run its first experiment.

    FLAGS are as for `proteinx submit` and hold for every round. Unless written: a Gaussian process, an upper
    confidence bound, and all single mutants (all combinations where design.positions is given).
    """
    from proteinx_pipelines.cli.flag_arguments import read_flags, with_absolute_paths
    from proteinx_pipelines.execution.rounds import RoundJudge, with_design
    from proteinx_pipelines.flags.reading import in_words
    from proteinx_pipelines.services import rounds
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.stages.known_names import known_here

    settings = load_settings()
    written = read_flags(flags, known_here())
    read = with_design(settings, written)
    if note := in_words(read, written):
        click.echo(f"Note: {note}", err=True)
    name = campaign_id or _readable(read.data.source[0])
    found = rounds.start(
        _place(settings), name, with_absolute_paths(read), _runner(settings, queue=queue, quiet=as_json),
        RoundJudge(settings),
    )  # fmt: skip
    _show(settings, found, as_json=as_json, hint="proteinx round propose writes the plate.")


@round_.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx round propose --out plate.csv", "proteinx round propose --n 24 design.acquisition=ei"
    ),
)
@click.argument("flags", nargs=-1, metavar="[design.NAME=VALUE]...", shell_complete=flag_pairs)
@_ID
@click.option("--n", type=click.IntRange(min=1), help="Number of variants to propose.  [default: design.n]")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the plate here.")
@_QUEUE
@json_option
def propose(
    flags: tuple[str, ...],
    campaign_id: str | None,
    n: int | None,
    out: Path | None,
    queue: bool,
    as_json: bool,
) -> None:
    """Write the plate of the open round: wells, variants, predictions, reasons, and a column for what is measured.

    Flags of design.* choose again, for this and later rounds.
    """
    from proteinx_pipelines.cli.flag_arguments import with_absolute_paths
    from proteinx_pipelines.execution.rounds import RoundJudge, notes_of_design
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.services import rounds
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    changed = _changed(flags, n, rounds.find_campaign(_place(settings), campaign_id).read().flags)
    files = _files(settings, campaign_id)
    found = rounds.propose(
        _place(settings), campaign_id, _runner(settings, queue=queue, quiet=as_json), files, RoundJudge(settings),
        lambda document: with_absolute_paths(parse_flags(document)), changed,
    )  # fmt: skip
    _tell_unread(parse_flags(found.flags).design, changed)
    directory = _place(settings).directory(found.campaign_id)
    current = found.rounds[-1]
    if out is not None:
        from proteinx_pipelines.experiment_dir.files import write_bytes

        write_bytes(out, directory.plate(current.number).read_bytes())
    if current.plate is not None:
        tell_shortfalls(notes_of_design(settings, current.experiment_id))
    if not as_json and current.plate is not None:
        click.echo(
            f"{current.plate.n_proposed} variants and {current.plate.n_controls} controls: "
            f"{out or directory.plate(current.number)}"
        )
    _show(
        settings, found, as_json=as_json,
        hint=f"Fill {' and '.join(files.to_fill)}, then: proteinx round measured FILE",
    )  # fmt: skip


@round_.command(
    cls=PlainErrors,
    epilog=examples(
        "proteinx round measured plate.csv", "proteinx round measured results.xlsx --id gb1 --queue"
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@_ID
@_QUEUE
@json_option
def measured(file: Path, campaign_id: str | None, queue: bool, as_json: bool) -> None:
    """Take in what was measured of the plate, judge what was promised, and run the next round's experiment.

    FILE is the filled plate, or any file that `proteinx db import` reads, in the numbering of the campaign's data.
    Nothing is imported unless every row is a variant of the protein and the file has some of the plate's.
    """
    from proteinx_pipelines.errors import MissingFile
    from proteinx_pipelines.execution.rounds import RoundJudge
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.services import rounds
    from proteinx_pipelines.settings import load_settings

    if not file.is_file():
        raise MissingFile(f"{file} is not there: no such file.")
    settings = load_settings()
    found, judged = rounds.measured(
        _place(settings), campaign_id, file, importer=_files(settings, campaign_id),
        runner=_runner(settings, queue=queue, quiet=as_json), judge=RoundJudge(settings), read_flags=parse_flags,
    )  # fmt: skip
    if not as_json:
        _print_judged(judged)
        _print_what_else(found)
    _show(settings, found, as_json=as_json, hint="proteinx round propose writes the next plate.")


@round_.command(
    cls=PlainErrors, epilog=examples("proteinx round status", "proteinx round status --id gb1 --json")
)
@_ID
@json_option
def status(campaign_id: str | None, as_json: bool) -> None:
    """Show the rounds of a campaign: data, plates, what was promised and measured, and whether to go on.

    Several campaigns and none named: lists them.
    """
    from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
    from proteinx_pipelines.services import rounds
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    known = CampaignDir.known_ids(settings.paths.campaigns_dir)
    if campaign_id is None and len(known) > 1 and not as_json:
        click.echo("\n".join(known))
        return
    found = rounds.find_campaign(_place(settings), campaign_id).read()
    _show(settings, found, as_json=as_json, hint="")


def _place(settings: "Settings") -> "Place":
    from proteinx_pipelines.services.rounds import Place

    return Place(settings.paths.campaigns_dir, settings.database_path)


def _runner(settings: "Settings", *, queue: bool, quiet: bool) -> "Runner":
    if queue:
        from proteinx_pipelines.node.lifecycle.round_runner import QueueRunner

        return QueueRunner(settings)
    from proteinx_pipelines.cli.train import stage_done
    from proteinx_pipelines.execution.rounds import HandRunner
    from proteinx_pipelines.node.processes.workdir import prepare_workdir

    prepare_workdir(settings)
    return HandRunner(settings, None if quiet else stage_done)


def _files(settings: "Settings", campaign_id: str | None) -> Any:
    from proteinx_pipelines.execution.round_files import PlateFiles
    from proteinx_pipelines.services import rounds

    campaign = rounds.find_campaign(_place(settings), campaign_id).read()
    data = campaign.flags["data"]
    wanted = [name for name in (data.get("score"), *data.get("properties", ())) if name]
    return PlateFiles(settings, campaign.first_source, tuple(wanted))


def _readable(source: str) -> str:
    """A campaign's name from a source's: other characters become hyphens."""
    import re

    return re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._")[:60] or "campaign"


def _changed(flags: tuple[str, ...], n: int | None, campaign: Mapping[str, Any]) -> Mapping[str, Any]:
    """Changed flags by dotted name, as JSON values; read together with those of the campaign."""
    from proteinx_pipelines.flags.parsing import parse_flags

    wrong = [text for text in flags if not text.startswith("design.") or "=" not in text]
    if wrong:
        raise click.UsageError(
            f"{', '.join(wrong)}: only design.NAME=VALUE can be changed between rounds; the rest is the campaign's."
        )
    pairs = [*flags, *([] if n is None else [f"design.n={n}"])]
    if not pairs:
        return {}
    names = {pair.partition("=")[0].strip() for pair in pairs}
    design = parse_flags(campaign, pairs).nested()["design"]
    return {name: design[name.partition(".")[2]] for name in names}


def _tell_unread(design: "DesignFlags", changed: Mapping[str, Any]) -> None:
    """Name the changed flags that nothing reads beside the campaign's others."""
    from proteinx_pipelines.flags.design_reading import design_in_words, unread_of_design

    unread = {name: why for name, why in unread_of_design(design).items() if f"design.{name}" in changed}
    if unread:
        click.echo(f"Note: {design_in_words(unread)}", err=True)


def _show(settings: "Settings", found: "CampaignDocument", *, as_json: bool, hint: str) -> None:
    from proteinx_pipelines.services.rounds import document_of

    document = document_of(_place(settings), found)
    if as_json:
        print_json(document)
        return
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, number, table

    rows = table(
        [
            "round",
            "data",
            "experiment",
            "proposed",
            "measured",
            "beat wild type",
            "promised",
            "in 95 %",
            "best",
        ]
    )
    for each in document["rounds"]:
        judged, plate, done = each["judged"], each["plate"], each["measured"]
        rows.add_row(
            str(each["number"]), escape(each["source"]), escape(each["experiment_id"]),
            "" if plate is None else str(plate["n_proposed"]), "" if done is None else str(done["n_of_plate"]),
            *(
                ("", "", "", "")
                if judged is None
                else (
                    f"{judged['wild_type']['found']}", number(judged["wild_type"]["expected"]),
                    f"{judged['coverage']:.0%}", number(judged["best_now"]),
                )
            ),
        )  # fmt: skip
    console().print(rows)
    click.echo(f"page  {document['page']}")
    click.echo(f"round {document['rounds'][-1]['number']} is {document['state']}")
    if hint:
        click.echo(indented(hint))


def _print_what_else(found: "CampaignDocument") -> None:
    """Say which wells have no score, and what else was in the file."""
    done = next(each for each in reversed(found.rounds) if each.measured is not None)
    assert done.measured is not None
    if done.measured.n_missing:
        click.echo(
            f"{done.measured.n_missing} variants of the plate have no score; they can be proposed again."
        )
    if done.measured.n_others:
        click.echo(
            f"{done.measured.n_others} other variants of the file, such as controls, are data of the next round."
        )


def _print_judged(judged: Mapping[str, Any]) -> None:
    hits = judged["wild_type"]
    expected = "" if hits["expected"] is None else f" ({hits['expected']:.3g} were promised)"
    click.echo(
        f"{judged['n']} variants: {hits['found']} beat the wild type{expected}, {judged['best']['found']} the best "
        f"before; {judged['inside']} inside their 95 % interval."
    )

"""Shell completion values: experiment ids, catalog sources, flags and flag values.

Completion runs on every key press, so each function looks up only what it needs. An error yields no suggestions
instead of a traceback in the middle of the user's command line.
"""

import functools
from collections.abc import Callable, Iterable

import click

MOST = 200
"""Largest number of suggestions shown."""

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _quietly(find: Callable[[click.Context, str], Iterable[str]]) -> Complete:
    @functools.wraps(find)
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            return sorted(text for text in set(find(context, incomplete)) if text.startswith(incomplete))[
                :MOST
            ]
        except Exception:  # noqa: BLE001  # there is nobody to tell
            return []

    return complete


@_quietly
def experiment_ids(_context: click.Context, _incomplete: str) -> Iterable[str]:
    """Ids of experiments that have a directory or a history."""
    return _ids()


@_quietly
def archived_ids(_context: click.Context, _incomplete: str) -> Iterable[str]:
    """Ids of the experiments that are archived."""
    from proteinx_pipelines.settings import load_settings

    return [path.stem for path in load_settings().paths.archive_dir.glob("*.tar")]


@_quietly
def campaign_ids(_context: click.Context, _incomplete: str) -> Iterable[str]:
    """Names of campaigns of this WORKDIR."""
    from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
    from proteinx_pipelines.settings import load_settings

    return CampaignDir.known_ids(load_settings().paths.campaigns_dir)


@_quietly
def source_names(_context: click.Context, _incomplete: str) -> Iterable[str]:
    """Sources of the catalog."""
    return _sources()


@_quietly
def flag_pairs(_context: click.Context, incomplete: str) -> Iterable[str]:
    """`train.lr=` for the start of a flag name; `model.name=gp` for the start of a value."""
    from proteinx_pipelines.flags.schema import known_flags

    name, equals, _ = incomplete.partition("=")
    if not equals:
        return [f"{flag.dotted}=" for flag in known_flags()]
    return [f"{name}={value}" for value in _values(name)]


@_quietly
def conditions(_context: click.Context, _incomplete: str) -> Iterable[str]:
    """Names accepted by `--where` and `--sort`: row fields and flags."""
    from proteinx_pipelines.flags.schema import known_names
    from proteinx_pipelines.services.selecting import FIELDS

    return [*FIELDS, *known_names()]


@_quietly
def flag_groups(context: click.Context, incomplete: str) -> Iterable[str]:
    """Flag groups; flag names when a flag set is converted."""
    from proteinx_pipelines.flags.schema import known_groups

    return [
        *known_groups(),
        *(flag_pairs(context, context.command.params[0], incomplete) if "." in incomplete else ()),
    ]


def _ids() -> list[str]:
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    found = ExperimentDir.known_ids(settings.experiments_dir)
    if settings.state_path.is_file():
        from proteinx_pipelines.ledger.ledger import Ledger

        found += [current.experiment_id for current in Ledger(settings.state_path).listing(1000)]
    return found


def _sources() -> list[str]:
    from proteinx_pipelines.catalog.reading import source_names as names_in
    from proteinx_pipelines.settings import load_settings

    database = load_settings().database_path
    return names_in(database) if database.is_file() else []


def _values(name: str) -> list[str]:
    """Values of a flag, when they can be listed."""
    from proteinx_pipelines.domain.embedders import EMBEDDERS
    from proteinx_pipelines.flags.model import MODELS
    from proteinx_pipelines.flags.schema import known_flags
    from proteinx_pipelines.user_models import names

    listed = {"model.name": (*MODELS, *names()), "embedding.name": EMBEDDERS}
    if name == "data.source":
        return _sources()
    if name in listed:
        return list(listed[name])
    schema = next((flag.schema for flag in known_flags() if flag.dotted == name), {})
    branches = [schema, *schema.get("anyOf", ())]
    found = [str(value) for branch in branches for value in branch.get("enum", ())]
    return [
        *found,
        *(["true", "false"] if any(branch.get("type") == "boolean" for branch in branches) else []),
    ]

"""Finding about an operator's own `dagster.yaml`."""

from collections.abc import Iterator

from proteinx_pipelines.node.lifecycle.finding import OK, WRONG, Finding
from proteinx_pipelines.node.processes.dagster_home import FILE, LAUNCHER, PACKAGED, is_edited
from proteinx_pipelines.settings import Settings


def check_dagster_home(settings: Settings) -> Iterator[Finding]:
    """Say where the file was edited, and whether runs still reach the run host with it."""
    if not is_edited(settings):
        return
    path = settings.dagster_home / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if any(line.strip() == LAUNCHER for line in lines):
        yield Finding("dagster", OK, f"{path} was edited and is kept; {PACKAGED} beside it is this release's")
        return
    yield Finding(
        "dagster",
        WRONG,
        f"{path} was edited and has no run_launcher with `{LAUNCHER}`: its runs do not reach the run host, and "
        f"experiments wait. Take `run_launcher` and `run_coordinator` from {PACKAGED} beside it, or remove the file.",
    )

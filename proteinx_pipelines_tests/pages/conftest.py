"""Real reports for a browser."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of real experiments on the packaged data, each made without a queue."""
    from proteinx_pipelines import demo
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.settings import load_settings

    folder, data = tmp_path_factory.mktemp("reports"), Path(demo.__file__).with_name("data")
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder)})
    wanted = {
        "ridge": {"data.source": "GB1_Nisthal_2019", "model.name": "ridge"},
        "gp": {"data.source": "GB1_Nisthal_2019", "model.name": "gp", "split.folds": 5},
        "蛋白质": {"data.source": "蛋白质G", "model.name": "ridge"},
    }
    made = {}
    for number, (name, flags) in enumerate(wanted.items()):
        source = data / "GB1_Nisthal_2019.csv.gz"
        if "蛋" in name:
            source = folder / "蛋白质G.csv.gz"
            shutil.copy(data / "GB1_Nisthal_2019.csv.gz", source)
            shutil.copy(data / "GB1_Nisthal_2019.json", folder / "蛋白质G.json")
        run_local_experiment(settings, f"report-{number}", parse_flags(flags), payload_ref=str(source))
        made[name] = settings.experiments_dir / f"report-{number}" / "artifacts" / "report.html"
    return made

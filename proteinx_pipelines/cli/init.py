"""`proteinx init`: creates a WORKDIR and a settings file."""

import os
from pathlib import Path

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.setting_values import ENVIRONMENT, SETTINGS_FILE

TEMPLATE = """\
# Settings of this node. The environment wins over this file; the variable is named in each comment.
# Secrets (a password inside the Redis URL) belong into the environment only.

# Folder of experiments, databases and logs, relative to this file.            PROTEINX_WORKDIR
workdir = {workdir}

# The Master's Redis. Without it, `proteinx up` starts an embedded server.     REDIS_URL
# redis_url = "redis://master.example:6379/0"

# Lists that messages come from and results go to.                             QUEUE_NAME, RESULT_QUEUE_NAME
# queue_name = "experiments"
# result_queue_name = "experiments:results"

# The side that messages are taken from: right when the Master pushes left.    PROTEINX_QUEUE_SIDE
# queue_side = "right"

# Celery's own Redis, when it should not be the Master's.                      PROTEINX_BROKER_URL
# broker_url = "redis://127.0.0.1:6379/1"

# Folders, besides WORKDIR, that a message may refer to.                       PROTEINX_DATA_ROOTS
# data_roots = ["/data/assays", "/data/weights"]

# Port of the web server on 127.0.0.1; 0 is any free one.                      PROTEINX_WEB_PORT
# web_port = 0

# Name of this node in heartbeats and queues; the host's name by default.      PROTEINX_NODE_NAME
# node_name = "gpu-1"

# Time limit of experiments that have none or a larger one, in seconds.        PROTEINX_MAX_TIMEOUT_S
# max_timeout_s = 86400

# Memory that a stage may be expected to need, in GB; what the machine has.    PROTEINX_MAX_MEMORY_GB
# max_memory_gb = 64

# Largest data file, as it is and unpacked, in GB.                             PROTEINX_MAX_DATA_GB
# max_data_gb = 20
# Words that a Master may place experiments by.                                PROTEINX_LABELS
# labels = ["a100"]

# Where trainings on several machines meet, when this node has their experiment.   PROTEINX_MEETING
# meeting = "10.0.0.7:29500"

# The Master, whose data sets messages may refer to; its token comes from PROTEINX_TOKEN.   PROTEINX_MASTER
# master = "https://master:8000"

# The store that machines share; s3://, gs://, az:// or file:///folder.       PROTEINX_STORE
# store = "s3://bucket/prefix"

# Dask scheduler that computes the shards of `run.shards`, or its file.        PROTEINX_DASK
# dask = "tcp://host:8786"

# Trackers that every ended experiment is told to: mlflow, wandb, tensorboard. PROTEINX_TRACK
# track = ["mlflow"]

# Where the agent serves /metrics to a Prometheus elsewhere.                   PROTEINX_METRICS_ADDRESS
# metrics_address = "0.0.0.0:9464"

# Largest size of its stages and vectors, in GB.                               PROTEINX_STORE_MAX_GB
# store_max_gb = 500

# Largest size of the files fetched by reference, in GB.                       PROTEINX_CACHE_MAX_GB
# cache_max_gb = 50

# Messages that a node takes ahead of the one that runs.                       PROTEINX_TAKE_AHEAD
# take_ahead = 1000

# Logs of the node's processes: from which level on; text or json lines.      PROTEINX_LOG_LEVEL, PROTEINX_LOG_FORMAT
# log_level = "WARNING"
# log_format = "text"

# Size at which such a log is moved aside, in 10^6 bytes; how many are kept.    PROTEINX_LOG_MAX_MB, PROTEINX_LOG_FILES
# log_max_mb = 5.0
# log_files = 5

# Seconds without progress after which a part is started again.                PROTEINX_STALL_LIMIT_S
# stall_limit_s = 300

# Dagster's history of runs; inside WORKDIR by default.                        DAGSTER_HOME
# dagster_home = "workdir_compute/dagster_home"
"""


@click.command(epilog=examples("proteinx init", "proteinx init /scratch/proteinx"))
@click.argument("workdir", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
def init(workdir: Path | None, as_json: bool) -> None:
    """Prepare a WORKDIR and write proteinx.toml in the current folder.

    An existing proteinx.toml is left unchanged. WORKDIR is workdir_compute unless you name another.
    """
    import json

    from proteinx_pipelines.node.processes.workdir import prepare_workdir
    from proteinx_pipelines.settings import load_settings

    path, wrote = Path(SETTINGS_FILE), False
    if not path.exists():
        wanted = str(workdir or os.environ.get(ENVIRONMENT["workdir"]) or "workdir_compute")
        path.write_text(TEMPLATE.format(workdir=json.dumps(_short(wanted))), encoding="utf-8")
        wrote = True
    settings = load_settings()
    prepare_workdir(settings)
    if as_json:
        print_json(
            {"workdir": settings.workdir, "settings_file": path.resolve(), "wrote_settings_file": wrote}
        )
        return
    click.echo(f"Wrote {path}." if wrote else f"{path} is there already and stays as it is.")
    click.echo(f"Prepared {settings.workdir}.")
    if workdir is not None and workdir.resolve() != settings.workdir:
        click.echo(
            f"Note: {workdir} is not used; PROTEINX_WORKDIR or {path} says {settings.workdir}.", err=True
        )
    click.echo(
        "Next:\n"
        "  proteinx db import FILE.csv                    measured variants: columns mutant, DMS_score\n"
        "  proteinx up                                    the node, in a terminal of its own\n"
        "  proteinx submit data.source=FILE --wait        an experiment\n"
        "Or `proteinx demo`, which brings its own data."
    )


def _short(workdir: str) -> str:
    """Path relative to the current folder if it lies inside, so that the folder can be moved."""
    path = Path(workdir).resolve()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)

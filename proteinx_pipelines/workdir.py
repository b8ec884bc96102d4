"""Every path of a WORKDIR: the folder that holds a node's experiments, databases, logs and run-time files.

No other module joins a path inside it. What is inside one experiment is `experiment_dir.layout`'s; what is inside the
stage store is `execution.store`'s. Creates nothing.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workdir:
    """Paths below one WORKDIR."""

    root: Path

    @property
    def experiments_dir(self) -> Path:
        """`experiments/`: one folder an experiment."""
        return self.root / "experiments"

    @property
    def database(self) -> Path:
        """`database.db`: the catalog of measurements."""
        return self.root / "database.db"

    @property
    def state(self) -> Path:
        """`state.db`: the life of every experiment."""
        return self.root / "state.db"

    @property
    def store_dir(self) -> Path:
        """`store/`: stages and vectors that experiments share."""
        return self.root / "store"

    @property
    def staging_dir(self) -> Path:
        """`staging/`: what attempts are writing."""
        return self.root / "staging"

    @property
    def payloads_dir(self) -> Path:
        """`payloads/`: catalogs made from what messages refer to."""
        return self.root / "payloads"

    @property
    def payload_files_dir(self) -> Path:
        """`payloads/files/`: data files that were copied in, each below the SHA-256 of its content."""
        return self.payloads_dir / "files"

    @property
    def failures_dir(self) -> Path:
        """`failures/`: failure bundles."""
        return self.root / "failures"

    def failure_bundle(self, experiment_id: str, generation: int) -> Path:
        """`failures/<id>-g<n>.json`: what is known of a generation that failed."""
        return self.failures_dir / f"{experiment_id}-g{generation}.json"

    @property
    def archive_dir(self) -> Path:
        """`archive/`: experiments that were put away."""
        return self.root / "archive"

    def archive(self, experiment_id: str) -> Path:
        """`archive/<id>.tar`: one experiment that was put away."""
        return self.archive_dir / f"{experiment_id}.tar"

    @property
    def simulations_dir(self) -> Path:
        """`simulations/`: finished campaigns of simulations, below the key of their rule."""
        return self.root / "simulations"

    @property
    def campaigns_dir(self) -> Path:
        """`campaigns/`: one folder a campaign, with its plates, what was measured, and a page a round."""
        return self.root / "campaigns"

    @property
    def trash_dir(self) -> Path:
        """`trash/`: experiments that are being removed."""
        return self.root / "trash"

    @property
    def fetched_dir(self) -> Path:
        """`fetched/`: files fetched by reference, each below the digest of its content or address."""
        return self.root / "fetched"

    @property
    def outgoing_dir(self) -> Path:
        """`outgoing/`: notes and files that wait to be sent to the shared store."""
        return self.root / "outgoing"

    @property
    def tracking_dir(self) -> Path:
        """`tracking/`: ended experiments that wait to be told to trackers."""
        return self.root / "tracking"

    @property
    def tensorboard_dir(self) -> Path:
        """`tensorboard/`: event files of the tracker of that name, a folder for each generation of an experiment."""
        return self.root / "tensorboard"

    @property
    def wandb_dir(self) -> Path:
        """`wandb/`: what Weights & Biases keeps on this machine."""
        return self.root / "wandb"

    @property
    def sent_dir(self) -> Path:
        """`run/sent/`: how much of each job's lines and files a Master elsewhere has."""
        return self.run_dir / "sent"

    @property
    def store_away(self) -> Path:
        """`run/store-away.json`: why the shared store is not asked at present; there while it does not answer."""
        return self.run_dir / "store-away.json"

    @property
    def redis_dir(self) -> Path:
        """`redis/`: files of the embedded server."""
        return self.root / "redis"

    @property
    def dagster_home(self) -> Path:
        """`dagster_home/`: Dagster's history, unless DAGSTER_HOME names another folder."""
        return self.root / "dagster_home"

    @property
    def logs_dir(self) -> Path:
        """`logs/`: logs of the node's own processes."""
        return self.root / "logs"

    def part_log(self, part: str) -> Path:
        """`logs/<part>.log`: what a process of the node printed and logged."""
        return self.logs_dir / f"{part}.log"

    @property
    def run_dir(self) -> Path:
        """`run/`: locks, process ids and addresses of the running node."""
        return self.root / "run"

    def lock(self, name: str) -> Path:
        """`run/<name>.lock`."""
        return self.run_dir / f"{name}.lock"

    def running(self, part: str) -> Path:
        """`run/<part>.json`: process id, and address where it has one, of a process of the node."""
        return self.run_dir / f"{part}.json"

    @property
    def capabilities(self) -> Path:
        """`run/capabilities.json`: what the node can compute with, as it was last published."""
        return self.run_dir / "capabilities.json"

    @property
    def observed(self) -> Path:
        """`run/observed.json`: what the node has counted for Prometheus."""
        return self.run_dir / "observed.json"

    @property
    def heartbeat_sent(self) -> Path:
        """`run/heartbeat-sent`: empty; its time is that of the last heartbeat."""
        return self.run_dir / "heartbeat-sent"

    @property
    def looking(self) -> Path:
        """`run/looking.json`: which message or experiment the intake looks at, and what has ended it before."""
        return self.run_dir / "looking.json"

    @property
    def reserve(self) -> Path:
        """`run/reserve`: disk space that is given up so that `disk_full` can be recorded."""
        return self.run_dir / "reserve"

    @property
    def stopped_cleanly(self) -> Path:
        """`run/stopped-cleanly`: there when the node was stopped, not killed."""
        return self.run_dir / "stopped-cleanly"

    @property
    def reconcile_request(self) -> Path:
        """`run/reconcile.asked`: asks the reconciler to look at once."""
        return self.run_dir / "reconcile.asked"

    @property
    def code_locations(self) -> Path:
        """`run/workspace.yaml`: where Dagster's daemon and web server find the code server."""
        return self.run_dir / "workspace.yaml"

    @property
    def master_dir(self) -> Path:
        """`master/`: files of a Master that runs on this machine."""
        return self.root / "master"


def objects_dir(master_dir: Path) -> Path:
    """`objects/` in a Master's folder: files by digest, each at `<first two digits>/<SHA-256>`."""
    return master_dir / "objects"

"""`systemctl` for rehearsals: starts, stops and kills what our units describe, each machine in a folder of its own.

    python service_manager.py start|stop|kill UNIT

It reads ExecStart, Environment and EnvironmentFile of `deploy/systemd/UNIT.service` as systemd does, with the paths of
the machine's folder; the machine of each unit stands in SERVICE_MANAGER, a JSON text. What it starts is a session.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
MOVED = ("/etc/proteinx", "/var/lib/proteinx", "/var/backups/proteinx", "/srv/s3")
"""Folders of a machine, which are below its own folder here."""
STOP_S = 90.0


def on_machine(text: str, root: str | Path) -> str:
    """A text with the paths of one machine."""
    for path in MOVED:
        text = text.replace(path, f"{root}{path}")
    return text.replace("/opt/proteinx/bin", str(Path(sys.executable).parent))


def _read_env(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _what(unit: str, machine: dict[str, Any]) -> tuple[list[str], dict[str, str], Path]:
    """Command, environment and folder of a unit."""
    root = Path(machine["root"])
    if "command" in machine:  # of a distribution's own unit
        return list(machine["command"]), {}, root
    text = on_machine((UNITS / f"{unit}.service").read_text(encoding="utf-8"), root)
    facts = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
    environment: dict[str, str] = {}
    for name, value in facts:
        if name == "Environment":
            environment |= dict([value.split("=", 1)])
        if name == "EnvironmentFile":
            environment |= _read_env(Path(value))
    command = shlex.split(dict(facts)["ExecStart"])
    folder = Path(dict(facts)["WorkingDirectory"])
    folder.mkdir(parents=True, exist_ok=True)  # StateDirectory
    return command, environment, folder


def start(unit: str, machine: dict[str, Any], pid_file: Path) -> None:
    command, environment, folder = _what(unit, machine)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROTEINX_", "AWS_", "REDIS_"))
    }
    with (pid_file.with_suffix(".log")).open("ab") as log:
        process = subprocess.Popen(
            command, env={**kept, **environment}, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    pid_file.write_text(str(process.pid), encoding="utf-8")


def end(pid_file: Path, number: signal.Signals) -> None:
    """KillMode=mixed: the main process gets the signal; whatever is left of its session is killed."""
    pid = int(pid_file.read_text(encoding="utf-8"))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    until = time.monotonic() + STOP_S
    while _lives(pid) and time.monotonic() < until:
        time.sleep(0.05)
    pid_file.unlink()


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def main() -> None:
    verb, unit = sys.argv[1], sys.argv[2].removesuffix(".service")
    machine = json.loads(os.environ["SERVICE_MANAGER"])[unit]
    pid_file = Path(machine["root"]) / f"{unit}.pid"
    if verb == "start":
        start(unit, machine, pid_file)
    elif verb in ("stop", "kill"):
        end(pid_file, signal.SIGTERM if verb == "stop" else signal.SIGKILL)
    else:
        raise SystemExit(f"{verb}: start, stop or kill is expected")


if __name__ == "__main__":
    main()

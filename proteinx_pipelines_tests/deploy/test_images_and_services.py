"""Images, Compose file and units: against their schemas, and against the settings, ports and addresses that exist."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from proteinx_pipelines.cli.main import COMMANDS, main
from proteinx_pipelines.master.settings import DEFAULT_PORT
from proteinx_pipelines.setting_values import ENVIRONMENT
from proteinx_pipelines_tests.programs import program

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
IMAGES = ("node", "master")
METRICS_PORT = 9464
MASTER_PAGE = (REPOSITORY / "docs" / "master.md").read_text(encoding="utf-8")
SETTINGS = {*ENVIRONMENT.values(), *re.findall(r"^\| `([A-Z_]+)` \|", MASTER_PAGE, re.MULTILINE)}
"""Every environment variable that node or Master read, by their tables."""
OF_THE_STORE = {
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
}
OF_PYTHON = {"PATH", "HOME", "PYTHONUNBUFFERED"}
OURS = {"master", "node", "node-gpu"}


def dockerfile(name: str) -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = (DEPLOY / f"{name}.Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def lint(instructions: list[tuple[str, str]]) -> Iterator[str]:
    """What hadolint would say of an image, as far as ours could go wrong."""
    last = max(k for k, (word, _) in enumerate(instructions) if word == "FROM")
    final = instructions[last:]
    words = [word for word, _ in final]
    for word, rest in instructions:
        if word == "FROM" and (":" not in rest or ":latest" in rest):
            yield f"FROM {rest} names no version"
        if word == "ADD":
            yield "ADD fetches and unpacks; use COPY"
        if word == "RUN" and "pip install" in rest:
            if "--no-cache-dir" not in rest:
                yield "pip keeps its cache in the image"
            if "--constraint constraints.txt" not in rest:
                yield "pip installs versions that are not pinned"
        if word == "RUN" and re.search(r"\b(sudo|curl|wget)\b", rest):
            yield f"RUN fetches or rises: {rest[:40]}"
        if word in ("CMD", "ENTRYPOINT") and not rest.startswith("["):
            yield f"{word} runs in a shell, which signals do not pass"
        if word in ("ENV", "ARG") and re.search(r"(TOKEN|PASSWORD|SECRET)\S*=\S", rest):
            yield f"{word} has a secret"
    users = [rest for word, rest in final if word == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]):
        yield "the last USER is no number of somebody without rights"
    yield from (f"no {word}" for word in ("HEALTHCHECK", "ENTRYPOINT", "EXPOSE") if word not in words)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_pinned_and_runs_without_rights(name: str) -> None:
    assert list(lint(dockerfile(name))) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("python:3.11-slim", "python"),
        ("--constraint constraints.txt ", ""),
        ("USER 10001:10001", "USER root"),
        ("USER 10001:10001", "USER 0:0"),
        ('ENTRYPOINT ["proteinx"]', "ENTRYPOINT proteinx"),
        ("COPY pyproject", "ADD pyproject"),
        ("STOPSIGNAL SIGTERM", "ENV PROTEINX_TOKEN=abc"),
    ],
)
def test_what_is_wrong_with_an_image_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    text = (DEPLOY / "node.Dockerfile").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "node.Dockerfile").write_text(text.replace(before, after), encoding="utf-8")
    monkeypatch.setitem(globals(), "DEPLOY", tmp_path)
    assert list(lint(dockerfile("node")))


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_copies_installs_sets_and_runs_what_there_is(name: str) -> None:
    instructions = dockerfile(name)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ignored = {
        line.strip("/") for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    }
    for word, rest in instructions:
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert source not in ignored
        if word == "RUN" and "pip install" in rest:
            extras = re.findall(r"\.\[([^\]]+)\]", rest)[0].split(",")
            assert set(extras) <= set(project["optional-dependencies"])
        if word == "ENV":
            names = set(re.findall(r"(\w+)=", rest))
            assert names <= SETTINGS | OF_PYTHON, names
        if word == "CMD":
            command, *options = yaml.safe_load(rest)
            assert command in COMMANDS
            known = {option for param in _command(command).params for option in param.opts}
            assert set(options) <= known
    exposed = {int(rest) for word, rest in instructions if word == "EXPOSE"}
    assert exposed == {DEFAULT_PORT if name == "master" else METRICS_PORT}
    assert any(f":{exposed.copy().pop()}/" in rest for word, rest in instructions if word == "HEALTHCHECK")
    assert {"FROM", "VOLUME"} <= {word for word, _ in instructions}


def _command(name: str) -> Any:
    return main.get_command(click.Context(main), name)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def test_the_compose_file_is_of_its_specification(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    run = lambda path: subprocess.run([*words, str(path)], capture_output=True, text=True, timeout=120)  # noqa: E731
    said = run(DEPLOY / "compose.yaml")
    assert said.returncode == 0, said.stdout + said.stderr
    wrong = tmp_path / "compose.yaml"
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("depends_on:", "depends:"), encoding="utf-8")
    assert run(wrong).returncode == 1


def test_services_get_settings_that_exist_and_secrets_from_outside(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert set(service["environment"]) <= SETTINGS | OF_THE_STORE, name
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["stop_grace_period"] == "45s"
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET|KEY|AUTH", variable):
                assert value.startswith("${"), (name, variable)


def test_every_variable_of_the_compose_file_is_in_the_template_and_none_else(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text)) | {
        each["environment"] for each in compose["secrets"].values()
    }
    template = (DEPLOY / "env.template").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=", template, re.MULTILINE)) == used
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert {
        name for name, value in re.findall(r"^(\w+)=(.*)$", template, re.MULTILINE) if not value
    } >= required


def test_everything_that_compose_mounts_builds_or_waits_for_is_there(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert context == REPOSITORY
            assert (context / service["build"]["dockerfile"]).is_file()
        else:
            assert re.search(r":\$?\{?[\w.:-]*\d", service["image"]), (
                f"{name}: {service['image']} has no version"
            )
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            elif ":" in volume:
                assert source in compose["volumes"], source
        waits = service.get("depends_on", {})
        assert set(waits) <= set(compose["services"])
        for other, how in waits.items() if isinstance(waits, dict) else ():
            own_check = "healthcheck" in compose["services"][other] or other in OURS
            assert how["condition"] != "service_healthy" or own_check, (name, other)


def test_ports_and_names_agree_in_every_file(compose: dict[str, Any]) -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    master, node = scraped["scrape_configs"]
    assert master["static_configs"][0]["targets"] == [f"master:{DEFAULT_PORT}"]
    assert node["dns_sd_configs"][0] == {"names": ["node"], "type": "A", "port": METRICS_PORT}
    services = compose["services"]
    assert {"master", "node"} <= set(services)
    assert services["node"]["environment"]["PROTEINX_METRICS_ADDRESS"] == f"0.0.0.0:{METRICS_PORT}"
    assert services["node"]["environment"]["PROTEINX_MASTER"] == f"http://master:{DEFAULT_PORT}"
    assert services["master"]["ports"][0].endswith(f":{DEFAULT_PORT}:{DEFAULT_PORT}")
    secret = master["authorization"]["credentials_file"]
    assert secret == f"/run/secrets/{services['prometheus']['secrets'][0]}"
    for service in ("redis", "postgres", "s3"):
        assert any(f"@{service}:" in str(v) or f"//{service}:" in str(v)
                   for v in services["master"]["environment"].values())  # fmt: skip
    assert "noeviction" in services["redis"]["command"]
    assert "--appendonly yes" in services["redis"]["command"]


UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_that_exists_without_rights_and_stops_it_in_order(unit: Path) -> None:
    facts = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE))
    assert facts["ExecStart"].split()[:1] == ["/opt/proteinx/bin/proteinx"]
    assert facts["ExecStart"].split()[1] in COMMANDS
    assert facts["User"] == "proteinx"
    assert facts["NoNewPrivileges"] == "yes"
    if facts.get("Type") != "oneshot":
        assert (facts["KillMode"], facts["Restart"]) == ("mixed", "always")
        assert int(facts["TimeoutStopSec"]) > 30  # the node needs up to 30 s
    template = DEPLOY / "systemd" / f"{Path(facts['EnvironmentFile']).name}.template"
    names = set(re.findall(r"^(?:# )?([A-Z_]+)=", template.read_text(encoding="utf-8"), re.MULTILINE))
    assert names <= SETTINGS


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    for path in (DEPLOY / "systemd").glob("proteinx-*"):
        text = path.read_text(encoding="utf-8").replace("/opt/proteinx/bin/proteinx", sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    run = lambda: subprocess.run(  # noqa: E731
        [analyze, "verify", "--man=no", *map(str, sorted(tmp_path.glob("proteinx-*")))],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = run()
    assert (said.returncode, [line for line in said.stderr.splitlines() if "proteinx" in line]) == (0, [])
    unit = tmp_path / "proteinx-node.service"
    unit.write_text(unit.read_text("utf-8").replace("KillMode=mixed", "KillMode=most"), encoding="utf-8")
    assert "kill mode" in run().stderr.lower()


def test_shell_scripts_can_be_parsed() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    for path in DEPLOY.rglob("*.sh"):
        assert path.stat().st_mode & 0o111, path
        subprocess.run([bash, "-n", str(path)], check=True, timeout=60)

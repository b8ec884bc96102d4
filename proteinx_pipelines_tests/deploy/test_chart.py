"""The Helm chart: rendered, its manifests against Kubernetes' schemas; without helm, its structure alone."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proteinx_pipelines.setting_values import ENVIRONMENT
from proteinx_pipelines_tests.deploy.test_images_and_services import OF_THE_STORE, SETTINGS
from proteinx_pipelines_tests.programs import program

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHART = DEPLOY / "helm" / "proteinx"
EVERYTHING = {
    "secret": {
        "create": True,
        "values": {
            "token": "t",
            "redis-password": "r",
            "database-url": "postgresql://a:b@c/d",
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
        },
    },
    "store": {"url": "s3://b/p", "endpoint": "http://s3:9000", "allowHttp": True},
    "master": {"postgres": True, "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "t"},
               "env": {"PROTEINX_MASTER_SLOTS": 3}},
    "nodes": {
        "gpu": {"replicas": 4, "gpus": 1, "labels": ["a100", "big"], "nodeSelector": {"pool": "gpu"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "autoscaling": {"enabled": True, "min": 0, "max": 8, "jobsPerNode": 2}},
    },
    "monitoring": {"enabled": True},
}  # fmt: skip
NO_REDIS: dict[str, Any] = {"redis": {"enabled": False}}
OF_OPERATORS = {"PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
"""Kinds that operators bring; Kubernetes' own schemas lack them."""


def rendered(tmp_path: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's manifests, checked against the schemas of Kubernetes."""
    helm = program("helm")
    given = tmp_path / "values.yaml"
    given.write_text(yaml.safe_dump(values), encoding="utf-8")
    for words in (("lint", "--strict", str(CHART)), ("template", "px", str(CHART))):
        said = subprocess.run(
            [helm, *words, "--values", str(given)], capture_output=True, text=True, timeout=120
        )
        assert said.returncode == 0, said.stdout + said.stderr
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(said.stdout, encoding="utf-8")
    return [each for each in yaml.safe_load_all(said.stdout) if each]


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("kubernetes_validate")
    words = [sys.executable, "-m", "kubernetes_validate", "--strict", str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def containers(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for manifest in manifests:
        pod = manifest.get("spec", {}).get("template", {}).get("spec")
        if pod:
            yield from ((manifest["metadata"]["name"], pod, each) for each in pod["containers"])


@pytest.mark.parametrize("values", [NO_REDIS, EVERYTHING], ids=["little", "all"])
def test_rendered_manifests_are_of_kubernetes_and_name_what_there_is(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    manifests = rendered(tmp_path, values)
    said = validated(tmp_path / "manifests.yaml")
    assert said.returncode == 0, said.stdout + said.stderr
    unknown = set(re.findall(r"schema for kind (\w+)", said.stdout + said.stderr))
    assert unknown <= OF_OPERATORS
    assert not (unknown and values is NO_REDIS)
    names = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    assert len(names) == len(manifests)
    services = {name for kind, name in names if kind == "Service"}
    for name, pod, container in containers(manifests):
        variables = {each["name"]: each for each in container.get("env", ())}
        assert set(variables) <= SETTINGS | OF_THE_STORE | {"REDIS_PASSWORD", "REDISCLI_AUTH"}, name
        for each in variables.values():
            for host in re.findall(r"(?:@|//)(px-[a-z-]+)[:.]", each.get("value", "")):
                assert host in services, host
            if "PASSWORD" in each["name"] or "TOKEN" in each["name"] or "SECRET" in each["name"]:
                assert "secretKeyRef" in each["valueFrom"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        ports = {each["name"] for each in container["ports"]}
        for probe in ("readinessProbe", "livenessProbe"):
            how = container[probe]
            port = (how.get("httpGet") or how.get("tcpSocket") or {}).get("port")
            assert port is None or port in ports
            assert how.get("httpGet", {"path": "/metrics"})["path"] in ("/readyz", "/healthz", "/metrics")
    for each in manifests:
        if each["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget", "Service"):
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            found = [m for m in manifests if m["kind"] in ("Deployment", "StatefulSet")
                     and wanted.items() <= m["spec"]["template"]["metadata"]["labels"].items()]  # fmt: skip
            assert len(found) == 1, (each["kind"], each["metadata"]["name"])
    scaled = [each for each in manifests if each["kind"] == "ScaledObject"]
    for each in scaled:
        target = each["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in names
        assert each["spec"]["triggers"][0]["metadata"]["valueLocation"] == "waiting"
    by_kind = [
        each for each in manifests if each["kind"] == "StatefulSet" and "node" in each["metadata"]["name"]
    ]
    assert [("replicas" in each["spec"]) for each in by_kind].count(False) == len(scaled)
    if values is EVERYTHING:
        gpu = next(each for name, _, each in containers(manifests) if name == "px-node-gpu")
        assert gpu["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert {"ScaledObject", "PrometheusRule", "PodMonitor", "Ingress", "Secret"} <= {
            kind for kind, _ in names
        }


def test_a_wrong_manifest_is_found(tmp_path: Path) -> None:
    """Guard off: what the check of the manifests would say of a chart that is wrong."""
    wrong = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {
            "replicas": "one",
            "selector": {"matchLabels": {}},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "x", "imag": "y"}]}},
        },
    }
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong), encoding="utf-8")
    assert validated(path).returncode != 0


def test_templates_read_values_that_there_are() -> None:
    """A misspelt value renders as nothing."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for path in (CHART / "templates").iterdir():
        for name in re.findall(r"\.Values\.([A-Za-z.]+)", path.read_text(encoding="utf-8")):
            found: Any = values
            for part in name.split("."):
                assert part in found or name == "secret.values.token", f"{path.name}: {name}"
                found = found.get(part, {})
    for node in values["nodes"].values():
        for name in re.findall(
            r"\$node\.([A-Za-z]+)", (CHART / "templates" / "nodes.yaml").read_text(encoding="utf-8")
        ):
            assert name in node, name


def test_versions_and_alerts_of_the_chart_are_those_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
    same = DEPLOY / "prometheus" / "alerts.yml"
    assert (CHART / "alerts.yml").read_bytes() == same.read_bytes(), f"cp {same} {CHART}"
    assert set(ENVIRONMENT.values()) <= SETTINGS

"""The Kubernetes files against the schemas of Kubernetes, offline; no cluster runs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from batch_platform.core.settings import PROJECT_ROOT, SECRETS_VARIABLE, variable_names

FOLDER = PROJECT_ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.33", "1.37")
"""The oldest and the newest that a cluster is likely to have."""

MANIFESTS = sorted(file for file in FOLDER.glob("*.yaml") if file.name != "values.yaml")
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())

CHART_KEYS: Mapping[str, set[str]] = {
    "": {
        "dagsterWebserver", "dagster-user-deployments", "dagsterDaemon", "runLauncher",
        "postgresql", "generatePostgresqlPasswordSecret", "rabbitmq", "redis", "flower", "ingress",
        "migrate", "telemetry", "serviceAccount", "global",
    },
    "dagsterWebserver": {
        "nameOverride", "replicaCount", "image", "service", "pathPrefix", "enableReadOnly",
        "workspace", "env", "envConfigMaps", "volumes", "volumeMounts", "podSecurityContext",
        "securityContext", "resources", "readinessProbe",
    },
    "dagsterDaemon": {
        "enabled", "image", "env", "envConfigMaps", "volumes", "volumeMounts",
        "podSecurityContext", "securityContext", "resources",
    },
    "dagster-user-deployments": {"enabled", "enableSubchart", "deployments"},
    "deployment": {
        "name", "image", "codeServerArgs", "port", "includeConfigInLaunchedRuns", "env",
        "envConfigMaps", "volumes", "volumeMounts", "podSecurityContext", "securityContext",
        "resources", "startupProbe",
    },
    "postgresql": {
        "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword",
        "postgresqlDatabase", "service",
    },
}  # fmt: skip
"""Of the chart's own model of its values; a key that it does not know, it refuses."""


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(file.read_text())


EVERYTHING = [document for file in MANIFESTS for document in _documents(file)]


def _pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for document in EVERYTHING:
        template = document.get("spec", {}).get("template")
        if template:
            yield document["metadata"]["name"], template["spec"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_every_manifest_is_what_kubernetes_knows(file: Path) -> None:
    for document in _documents(file):
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_would_have_seen_it() -> None:
    document = next(each for each in EVERYTHING if each["kind"] == "Deployment")
    wrong = {**document, "spec": {**document["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_the_charts_values_have_only_keys_that_the_chart_has() -> None:
    assert set(VALUES) == CHART_KEYS[""]
    for part in ("dagsterWebserver", "dagsterDaemon", "dagster-user-deployments", "postgresql"):
        assert set(VALUES[part]) == CHART_KEYS[part], part
    for deployment in VALUES["dagster-user-deployments"]["deployments"]:
        assert set(deployment) == CHART_KEYS["deployment"]


@pytest.mark.parametrize("part", ["dagsterWebserver", "dagsterDaemon", "code"])
def test_what_the_chart_hands_on_is_what_kubernetes_knows(part: str) -> None:
    values = _code() if part == "code" else VALUES[part]
    container = {
        "name": "dagster",
        "image": f"{values['image']['repository']}:{values['image']['tag']}",
        "imagePullPolicy": values["image"]["pullPolicy"],
        "env": values["env"],
        "envFrom": [{"configMapRef": each} for each in values["envConfigMaps"]],
        "resources": values["resources"],
        "securityContext": values["securityContext"],
        "volumeMounts": values["volumeMounts"],
    }
    if "readinessProbe" in values:
        container["readinessProbe"] = values["readinessProbe"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "dagster"},
        "spec": {
            "securityContext": values["podSecurityContext"],
            "containers": [container],
            "volumes": values["volumes"],
        },
    }
    kubernetes_validate.validate(pod, VERSIONS[0], strict=True)
    _require_closed(pod["spec"])


def test_every_pod_is_closed_and_bounded() -> None:
    pods = dict(_pods())
    assert set(pods) == {
        "batch-platform-api",
        "batch-platform-migrate-0-1-0",
        "batch-platform-proxy",
        "batch-platform-viewer",
    }
    for spec in pods.values():
        _require_closed(spec)
        assert spec["automountServiceAccountToken"] is False
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in spec["containers"])


def test_nothing_but_dagster_has_a_clock() -> None:
    kinds = {document["kind"] for document in EVERYTHING}
    assert "CronJob" not in kinds
    assert "scheduler" not in VALUES


def test_what_is_named_is_there() -> None:
    there = {(document["kind"], document["metadata"]["name"]) for document in EVERYTHING}
    text = "\n".join(file.read_text() for file in (*MANIFESTS, FOLDER / "values.yaml"))
    maps = {
        yaml.safe_load(each) for each in re.findall(r"configMap(?:Ref)?: \{name: (\S+?)\}", text)
    }
    claims = set(re.findall(r"claimName: (\S+?)\}", text))
    assert maps
    assert {("ConfigMap", name) for name in maps} <= there
    assert {("PersistentVolumeClaim", name) for name in claims} <= there
    assert ("ConfigMap", VALUES["dagsterWebserver"]["workspace"]["externalConfigmap"]) in there
    assert {document["metadata"].get("namespace", "batch-platform") for document in EVERYTHING} == {
        "batch-platform"
    }


def test_addresses_lead_to_services_that_are_there() -> None:
    ports = {
        document["metadata"]["name"]: document["spec"]["ports"][0]["port"]
        for document in EVERYTHING
        if document["kind"] == "Service"
    }
    # Those that the chart makes: its webserver's name has the release's, the code's is its own.
    webserver = f"batch-platform-{VALUES['dagsterWebserver']['nameOverride']}"
    ports[webserver] = VALUES["dagsterWebserver"]["service"]["port"]
    ports[_code()["name"]] = _code()["port"]

    (proxy,) = (each for each in EVERYTHING if each["metadata"]["name"] == "batch-platform-proxy"
                and each["kind"] == "ConfigMap")  # fmt: skip
    asked = re.findall(r"server ([\w.-]+):(\d+);", proxy["data"]["batch-platform.conf"])
    assert len(asked) == 3
    assert all(ports[host] == int(port) for host, port in asked)

    (workspace,) = (each for each in EVERYTHING
                    if each["metadata"]["name"] == "batch-platform-workspace")  # fmt: skip
    (location,) = yaml.safe_load(workspace["data"]["workspace.yaml"])["load_from"]
    server = location["grpc_server"]
    assert ports[server["host"]] == server["port"]


def test_the_two_webservers_have_the_paths_that_the_proxy_passes_on_to() -> None:
    assert VALUES["dagsterWebserver"]["pathPrefix"] == "/dagster"
    assert VALUES["dagsterWebserver"]["enableReadOnly"] is False
    command = dict(_pods())["batch-platform-viewer"]["containers"][0]["command"]
    assert {"--path-prefix=/view", "--read-only"} <= set(command)


def test_only_the_proxy_is_let_to_the_webservers() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in EVERYTHING
                if each["kind"] == "NetworkPolicy"}  # fmt: skip
    assert policies["nobody-in"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    proxy = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "batch-platform-proxy"}}}]
    for name in ("behind-the-proxy", "webserver-behind-the-proxy"):
        assert [rule["from"] for rule in policies[name]["ingress"]] == [proxy]
    # The proxy has no way out.
    assert {"key": "app.kubernetes.io/name", "operator": "NotIn",
            "values": ["batch-platform-proxy"]} in (
        policies["platform-out"]["podSelector"]["matchExpressions"]
    )  # fmt: skip
    port = VALUES["dagsterWebserver"]["service"]["port"]
    (rule,) = policies["webserver-behind-the-proxy"]["ingress"]
    assert rule["ports"] == [{"port": port, "protocol": "TCP"}]


def test_every_setting_exists_and_none_is_a_secret() -> None:
    (settings,) = (each["data"] for each in EVERYTHING
                   if each["metadata"]["name"] == "batch-platform-settings")  # fmt: skip
    assert set(settings) <= {*variable_names(), SECRETS_VARIABLE, "TZ", "DAGSTER_HOME"}
    assert not [each for each in EVERYTHING if each["kind"] == "Secret"]


def _code() -> dict[str, Any]:
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    return deployment


def _require_closed(spec: Mapping[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert re.search(r":\d+\.\d+", container["image"])

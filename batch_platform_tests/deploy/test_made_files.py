"""The Dagster instance of every place comes from one file, and is one that Dagster takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from batch_platform.cli.deployment_files import deployment_files, instance_of, overlaid
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.reverse_proxy import ProxyAddresses, site_configuration
from batch_platform.operations.k8s_run_launcher import PlatformK8sRunLauncher

BASE = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())


def test_no_file_has_drifted_from_its_sources() -> None:
    stale = [file for file, text in deployment_files().items() if file.read_text() != text]
    assert stale == [], "run batch-platform deploy files"


def test_what_a_place_says_is_put_over_what_the_project_says() -> None:
    base = {"a": {"x": 1, "y": [1]}, "b": {"class": "One", "config": {"z": 1}}, "c": 1, "d": 1}
    over = {"a": {"y": [2]}, "b": {"class": "Other"}, "c": None, "e": {"f": 1}}
    assert overlaid(base, over) == {
        "a": {"x": 1, "y": [2]},
        "b": {"class": "Other"},
        "d": 1,
        "e": {"f": 1},
    }


@pytest.mark.parametrize("place", ["docker", "kubernetes"])
def test_an_instance_differs_only_where_its_place_must(place: str, tmp_path: Path) -> None:
    instance = instance_of(place)
    kept = ["storage", "run_coordinator", "run_retries", "telemetry", "nux"]
    assert {key: instance[key] for key in kept} == {key: BASE[key] for key in kept}
    assert (
        instance["run_monitoring"]["max_runtime_seconds"]
        == (BASE["run_monitoring"]["max_runtime_seconds"])
    )
    # Dagster itself looks at every key and every class's configuration.
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    ref = InstanceRef.from_dir(str(tmp_path))
    assert ref.custom_instance_class_data is None
    for part in (ref.run_coordinator_data, ref.compute_logs_data):
        assert part is not None
        part.rehydrate(as_type=object)


@pytest.fixture
def launcher(tmp_path: Path) -> PlatformK8sRunLauncher:
    config: dict[str, Any] = instance_of("kubernetes")["run_launcher"]["config"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "none",
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "none", "user": {}}],
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
            }
        )
    )
    config |= {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump(
            {
                "run_launcher": {
                    "module": PlatformK8sRunLauncher.__module__,
                    "class": PlatformK8sRunLauncher.__name__,
                    "config": config,
                }
            }
        )
    )
    data = InstanceRef.from_dir(str(tmp_path)).run_launcher_data
    assert data is not None
    found = data.rehydrate(as_type=PlatformK8sRunLauncher)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("tags", "memory"),
    [
        ({"domain": "stocks"}, "4Gi"),
        ({"domain": "chats"}, "2Gi"),
        ({}, "2Gi"),
        (
            {
                "domain": "stocks",
                "dagster-k8s/config": (
                    '{"container_config": {"resources": {"limits": {"memory": "9Gi"}}}}'
                ),
            },
            "9Gi",
        ),
    ],
)
def test_a_run_gets_the_resources_of_its_domain(
    launcher: PlatformK8sRunLauncher, tags: Mapping[str, str], memory: str
) -> None:
    run = dg.DagsterRun(job_name="nightly_job", tags=dict(tags))
    config: UserDefinedDagsterK8sConfig = launcher.get_container_context_for_run(run).run_k8s_config
    assert config.container_config["resources"]["limits"]["memory"] == memory
    # And is as closed as everything else there.
    assert config.container_config["security_context"]["read_only_root_filesystem"] is True
    assert config.job_spec_config["backoff_limit"] == 0


@pytest.mark.parametrize("listen", ["99999999", "0", "127.0.0.1:", "a b:80", "80; deny all", ""])
def test_what_is_no_address_gets_no_proxy(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        site_configuration(ProxyAddresses(listen, "api:3001", "web:3000", "[::1]:3002"))
    with pytest.raises(ConfigurationError, match="is no address"):
        site_configuration(ProxyAddresses("443", listen or "443", "web:3000", "web:3002"))

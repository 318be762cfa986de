"""Dagster's launcher of Kubernetes jobs, which knows how much each domain needs.

Named in the instance's configuration of `deploy/kubernetes`; nothing else needs dagster-k8s.
"""

from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._serdes import ConfigurableClassData
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig

DOMAIN_TAG = "domain"
"""Of a job: whose it is."""

DEFAULT = "default"
"""What a run needs whose domain is not named."""


class PlatformK8sRunLauncher(K8sRunLauncher):
    """Launches each run as a Kubernetes job, with the resources of its domain."""

    def __init__(
        self,
        resources_by_domain: Mapping[str, Mapping[str, Any]] | None = None,
        inst_data: ConfigurableClassData | None = None,
        **config: Any,
    ) -> None:
        super().__init__(inst_data=inst_data, **config)
        self._resources_by_domain = resources_by_domain or {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Dagster's own settings, and resources as in a container's specification, by domain."""
        amounts = dg.Field(dg.Map(str, str), is_required=False)
        return {
            **super().config_type(),
            "resources_by_domain": dg.Field(
                dg.Map(str, {"requests": amounts, "limits": amounts}), is_required=False
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Build it for Dagster; called when an instance is opened."""
        return cls(inst_data=inst_data, **config_value)

    def get_container_context_for_run(self, dagster_run: dg.DagsterRun) -> K8sContainerContext:
        """How a run's container is made; what the run's own tags say wins."""
        domain = dagster_run.tags.get(DOMAIN_TAG, DEFAULT)
        by_domain = self._resources_by_domain
        resources = by_domain.get(domain) or by_domain.get(DEFAULT) or {}
        of_domain = UserDefinedDagsterK8sConfig.from_dict(
            {"container_config": {"resources": resources}} if resources else {}
        )
        own = super().get_container_context_for_run(dagster_run)
        return K8sContainerContext(run_k8s_config=of_domain).merge(own)

"""The files of `deploy/` that are made of others, so that nothing is written down twice.

Each is a pure function of its sources: the project's `dagster.yaml`, what a place puts over it, and
the proxy's template.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.reverse_proxy import ProxyAddresses, site_configuration

_DEPLOY = PROJECT_ROOT / "deploy"
_NAMESPACE = "batch-platform"
_MADE_OF = "# Made of {} by `batch-platform deploy files`: change those, not this.\n\n"
_KUBERNETES_ADDRESSES = ProxyAddresses(
    listen="8080",
    api="batch-platform-api:3001",
    webserver="batch-platform-dagster-webserver:3000",
    viewer="batch-platform-viewer:3000",
)
"""Of services: the webserver has its from the name of the Helm release."""


def deployment_files() -> Mapping[Path, str]:
    """The text of each file that is made of others, by its path."""
    return {
        _DEPLOY / "docker" / "dagster.yaml": _MADE_OF.format(
            "dagster.yaml and deploy/instances/docker.yaml"
        )
        + _as_yaml(instance_of("docker")),
        _DEPLOY / "kubernetes" / "instance.yaml": _MADE_OF.format(
            "dagster.yaml and deploy/instances/kubernetes.yaml"
        )
        + _config_map(
            "batch-platform-instance", "dagster.yaml", _as_yaml(instance_of("kubernetes"))
        ),
        _DEPLOY / "kubernetes" / "proxy-configuration.yaml": _MADE_OF.format(
            "deploy/proxy/batch-platform.conf.template"
        )
        + _config_map(
            "batch-platform-proxy",
            "batch-platform.conf",
            site_configuration(
                _KUBERNETES_ADDRESSES,
                error_log="/dev/stderr",
                tls="/etc/nginx/batch-platform-tls/*.conf",
            ),
        ),
    }


def instance_of(place: str) -> dict[str, Any]:
    """Dagster's instance in a place: the project's, with what the place puts over it.

    Args:
        place: Name of a file in `deploy/instances`.
    """
    return overlaid(
        _read(PROJECT_ROOT / "dagster.yaml"), _read(_DEPLOY / "instances" / f"{place}.yaml")
    )


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping over another, level by level.

    A list or a value replaces what was there, null takes it out. What names a class is replaced
    whole: the old one's configuration would mean nothing to the new one.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, Mapping) and "class" not in value:
            merged[key] = overlaid(below, value)
        else:
            merged[key] = value
    return merged


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


class _Literal(str):
    """A text of several lines that stays readable."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes lists indented, and texts of several lines as they are."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """As PyYAML's, which does not indent lists."""
        del indentless
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _Literal,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"),
)


def _as_yaml(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _config_map(name: str, file: str, text: str) -> str:
    return _as_yaml(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": _NAMESPACE},
            "data": {file: _Literal(text)},
        }
    )

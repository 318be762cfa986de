"""`/metrics`, in Prometheus' text format."""

from typing import Any

from fastapi import Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from batch_platform.api.access import guarded_router, require
from batch_platform.api.books import DagsterStorage, Stores
from batch_platform.core.settings import Settings
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.metrics import COUNTER, Metric, read_metrics

router = guarded_router("metrics")


class _Read(Collector):
    """Numbers that were read already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Any:
        """Hand them to the client library, which writes them down."""
        for metric in self._metrics:
            family = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
            made = family(metric.name, metric.help, labels=metric.label_names)
            for sample in metric.samples:
                made.add_metric(sample.labels, sample.value)
            yield made


@router.get(
    "/metrics",
    summary="The platform in numbers, for Prometheus",
    dependencies=[require(Scope.VIEWER)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, db: Stores, dagster_db: DagsterStorage) -> Response:
    """Answer in the format that the client accepts."""
    settings: Settings = request.app.state.settings
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read(read_metrics(db, dagster_db, settings, request.app.state.clock())))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), media_type=content_type)

"""What the webserver shows of a batch: its state, counts, cost and where its results are."""

# Dagster's metadata values are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from urllib.parse import quote

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.models import RequestState
from batch_platform.domains.emotions.workflow import BatchStatus
from batch_platform.orchestration.results import MetadataValue, markdown_table


def batch_metadata(status: BatchStatus, settings: Settings) -> Mapping[str, MetadataValue]:
    """State, counts, cost and links of a batch."""
    batch, counts = status.batch, status.counts
    address = settings.platform.webserver_url.rstrip("/")
    page = f"{address}/assets/emotions/analyses?view=partitions&partition={quote(batch.key)}"
    return {
        "state": status.stage.value,
        "provider": batch.spec.provider,
        "model": batch.spec.model,
        "posts_chosen": counts.chosen,
        "posts_answered": counts.of(RequestState.ANSWERED),
        "posts_quarantined": counts.of(RequestState.QUARANTINED),
        "posts_open": counts.open,
        "posts_cancelled": counts.of(RequestState.CANCELLED),
        "posts_left_out": counts.of(RequestState.LEFT_OUT),
        "jobs": len(status.jobs),
        "estimated_batch_krw": round(batch.estimate.batch_krw, 2),
        "estimated_direct_krw": round(batch.estimate.direct_krw, 2),
        "batch_cost_so_far_krw": round(status.cost_krw, 2),
        "results": dg.MetadataValue.url(page),
    }


def status_preview(status: BatchStatus) -> str:
    """A batch's jobs as a Markdown table."""
    rows = [
        (
            job.run_key,
            job.state.value if job.state else "not sent",
            f"{job.requests_completed:,} / {job.requests:,}",
            f"{job.requests_failed:,}",
            job.error or "",
        )
        for job in status.jobs
    ]
    return markdown_table(["job", "state", "answered", "failed", "error"], rows) if rows else ""


def observation(status: BatchStatus, settings: Settings) -> dg.AssetObservation:
    """What is told of a batch when a job of it has another state, and when its end is known."""
    return dg.AssetObservation(
        asset_key=dg.AssetKey(["emotions", "batch_jobs"]),
        partition=status.batch.key,
        metadata={
            **batch_metadata(status, settings),
            "preview": dg.MetadataValue.md(status_preview(status)),
        },
    )

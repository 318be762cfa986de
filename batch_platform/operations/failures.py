"""The sensor that tells of a failed run: what failed, where, why, and what to do."""

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.gateways.mail import Mailer
from batch_platform.operations.failed_steps import failed_step
from batch_platform.operations.failure_mail import compose_failure_mail
from batch_platform.orchestration.results import run_url

DOMAIN_TAG = "domain"
"""The tag of a job that names its domain."""


@dg.run_failure_sensor(
    name="failure_mail_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    monitor_all_code_locations=True,
    description="Mails what failed, where and why, once a run, when no retry follows.",
)
def failure_mail_sensor(
    context: dg.RunFailureSensorContext,
    settings: dg.ResourceParam[Settings],
    mailer: dg.ResourceParam[Mailer],
) -> dg.SkipReason | None:
    """Tell of one failed run, unless Dagster is going to try it again."""
    run = context.dagster_run
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return dg.SkipReason(f"Run {run.run_id} is tried again")
    recipients = settings.mail.alert_recipients or settings.mail.recipients
    if not mailer.is_configured or not recipients:
        return dg.SkipReason("No mail server or nobody to tell (SMTP_SERVER, MAILTO)")
    message = compose_failure_mail(
        job=run.job_name,
        partition=run.tags.get("dagster/partition", ""),
        run_url=run_url(settings, run.run_id),
        steps=[failed_step(event) for event in context.get_step_failure_events()],
        reason=context.failure_event.message or "",
        recipients=recipients,
        runbook=_runbook(run.tags.get(DOMAIN_TAG, "")),
        is_made_up=settings.is_made_up,
    )
    mailer.send(message, message_id=f"<failure-{run.run_id}@batch-platform>")
    return None


def _runbook(domain: str) -> str:
    file = PROJECT_ROOT / "docs" / "runbooks" / f"{domain}.md"
    return file.relative_to(PROJECT_ROOT).as_posix() if domain and file.is_file() else ""

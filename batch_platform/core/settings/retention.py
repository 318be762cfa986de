"""How long the platform keeps what it writes about its own work."""

from pydantic import field_validator

from batch_platform.core.settings.section import Section, readable_cron, variable


class RetentionSettings(Section):
    """How long the platform keeps what it writes about its own work; 0 keeps it for ever."""

    run_days: int = variable(
        "RETENTION_RUN_DAYS",
        90,
        "Days that runs and their events stay; of a run that made something, the record of that"
        " stays for ever",
        ge=0,
        le=36500,
    )
    answer_days: int = variable(
        "RETENTION_ANSWER_DAYS",
        180,
        "Days that a model's answer stays after its last use; what a live partition used stays",
        ge=0,
        le=36500,
    )
    log_days: int = variable(
        "RETENTION_LOG_DAYS", 30, "Days that logs of servers and steps stay", ge=0, le=36500
    )
    log_gb: float = variable(
        "RETENTION_LOG_GB", 2.0, "Size (GB) above which the oldest logs go before their time", ge=0
    )
    report_days: int = variable(
        "RETENTION_REPORT_DAYS",
        0,
        "Days that workbooks stay in the report folders; archives always stay",
        ge=0,
        le=36500,
    )
    cron: str = variable("RETENTION_CRON", "30 4 * * *", "When what is too old goes")

    _crons = field_validator("cron")(readable_cron)

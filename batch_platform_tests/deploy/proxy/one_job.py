"""A code location of one job that does nothing: what the proxy lets through shows in its runs."""

import dagster as dg


@dg.op
def _nothing() -> None:
    """Do nothing."""


@dg.job
def nightly_job() -> None:
    """Do nothing, once a night."""
    _nothing()


defs = dg.Definitions(jobs=[nightly_job])

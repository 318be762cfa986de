"""The nightly batch platform. `definitions` is what Dagster loads, `cli.main` what a shell runs."""

"""What Dagster loads: the one code location. How it is put together is in `build`."""

from batch_platform.build import build_definitions

defs = build_definitions()

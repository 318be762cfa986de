"""The world outside, a module or package each. Nothing here knows a domain or Dagster."""

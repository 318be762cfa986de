"""The nightly systems, a folder each. They do not import one another."""

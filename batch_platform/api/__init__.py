"""The HTTP API of the platform: routes, tokens, errors.

What it answers comes from domains and operations.
"""

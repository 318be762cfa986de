"""The HTTP API of the platform: routes, tokens, errors.

What it answers comes from domains and operations. `create_app` in `application` puts it together,
`serve_api` in `server` serves it. Knows no Dagster, so that it starts at once and answers while
Dagster's servers are away.
"""

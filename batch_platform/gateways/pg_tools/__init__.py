"""PostgreSQL's own tools: dumps, base backups, what a database holds, databases to try them in.

Which backup is made when, where it lies and how long is the backups domain's.
"""

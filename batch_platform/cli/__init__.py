"""The command line: Typer commands, thin."""

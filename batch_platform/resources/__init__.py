"""Roles that assets ask for, each a thin way to one gateway."""

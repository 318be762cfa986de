"""Incidents: what went wrong and is not right yet; one message per change of state, none lost."""

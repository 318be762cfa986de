"""The domains by name: what watches over all of them and knows no Dagster cannot ask for them."""

DOMAINS = ("chats", "fortunes", "interventions", "stocks", "emotions", "backups")
"""In the order in which people read of them."""

OPERATIONS = "operations"
"""The platform's own work, which has jobs like a domain's."""

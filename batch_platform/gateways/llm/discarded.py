"""Items that a person gave up: they stay set aside, and nobody need look at them any more."""

from batch_platform.gateways.platform_db import PlatformDb


def discarded_items(db: PlatformDb, task: str, partition: str) -> frozenset[str]:
    """Ids of a partition's items that were given up, see `operations.quarantine`."""
    rows = db.fetch_all(
        "SELECT item_id FROM llm.discarded WHERE task = %s AND partition = %s", [task, partition]
    )
    return frozenset(row[0] for row in rows)

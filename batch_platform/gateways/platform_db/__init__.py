"""The platform's own PostgreSQL: connections, holds on partitions, whole writing, migrations.

A domain's tables and SQL do not belong here but in the domain's `store`.
"""

from batch_platform.gateways.platform_db.database import Hold, PlatformDb
from batch_platform.gateways.platform_db.partitions import PartitionTransaction, RowChanges
from batch_platform.gateways.platform_db.spool import Spool

__all__ = ["Hold", "PartitionTransaction", "PlatformDb", "RowChanges", "Spool"]

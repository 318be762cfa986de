"""The books that routes read and write, and the databases, as dependencies of routes.

They are synchronous: a route that uses one is a plain `def`, which FastAPI runs in a thread.
"""

from typing import Annotated

from fastapi import Depends, Request

from batch_platform.api.database import ApiDatabase, database
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.deadline_changes import DeadlineChanges
from batch_platform.operations.incidents.outbox import incident_book
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.quarantine import QuarantineBook
from batch_platform.operations.schedules import OccurrenceBook, ScheduleBook


async def _schedule_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> ScheduleBook:
    return ScheduleBook(await db.stores(), request.app.state.clock)


async def _occurrence_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> OccurrenceBook:
    return OccurrenceBook(await db.stores(), request.app.state.clock)


async def _quarantine_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> QuarantineBook:
    return QuarantineBook(await db.stores(), request.app.state.clock)


async def _incident_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> IncidentBook:
    return incident_book(await db.stores(), request.app.state.settings)


async def _deadline_changes(db: Annotated[ApiDatabase, Depends(database)]) -> DeadlineChanges:
    return DeadlineChanges(await db.stores())


async def _stores(db: Annotated[ApiDatabase, Depends(database)]) -> PlatformDb:
    return await db.stores()


async def _dagster_storage(db: Annotated[ApiDatabase, Depends(database)]) -> PlatformDb:
    return await db.dagster_storage()


Schedules = Annotated[ScheduleBook, Depends(_schedule_book)]
Occurrences = Annotated[OccurrenceBook, Depends(_occurrence_book)]
Quarantine = Annotated[QuarantineBook, Depends(_quarantine_book)]
Incidents = Annotated[IncidentBook, Depends(_incident_book)]
Deadlines = Annotated[DeadlineChanges, Depends(_deadline_changes)]
Stores = Annotated[PlatformDb, Depends(_stores)]
DagsterStorage = Annotated[PlatformDb, Depends(_dagster_storage)]

"""The books of schedules and occurrences, as dependencies of routes.

They are synchronous: a route that uses one is a plain `def`, which FastAPI runs in a thread.
"""

from typing import Annotated

from fastapi import Depends, Request

from batch_platform.api.database import ApiDatabase, database
from batch_platform.operations.schedules import OccurrenceBook, ScheduleBook


async def _schedule_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> ScheduleBook:
    return ScheduleBook(await db.stores(), request.app.state.clock)


async def _occurrence_book(
    request: Request, db: Annotated[ApiDatabase, Depends(database)]
) -> OccurrenceBook:
    return OccurrenceBook(await db.stores(), request.app.state.clock)


Schedules = Annotated[ScheduleBook, Depends(_schedule_book)]
Occurrences = Annotated[OccurrenceBook, Depends(_occurrence_book)]

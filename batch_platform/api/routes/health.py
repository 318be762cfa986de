"""Whether the API lives and can answer, for whoever watches it. No token needed, nothing told."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from batch_platform.api.database import ApiDatabase, database

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The database answers too."""

    status: Literal["ready"] = "ready"


@router.get("/healthz", summary="Whether the process answers")
async def healthz() -> Alive:
    """Answer, whatever the database does: restarting this process would not mend that."""
    return Alive()


@router.get("/readyz", summary="Whether requests can be served")
async def readyz(db: Annotated[ApiDatabase, Depends(database)]) -> Ready:
    """Answer 200 when the database answers, 503 when it does not."""
    async with db.connection() as connection:
        await connection.execute("SELECT 1")
    return Ready()

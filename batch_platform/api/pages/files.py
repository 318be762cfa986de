"""What pages are drawn with: style, script, icon. Open to everybody; nothing of ours is in them."""

from fastapi import APIRouter, Response

from batch_platform.api.pages.access import OpenPageRoute
from batch_platform.api.pages.rendering import file
from batch_platform.api.problems import ProblemError

router = APIRouter(route_class=OpenPageRoute, include_in_schema=False)


@router.get("/static/{version}/{name}")
async def static_file(version: str, name: str) -> Response:
    """A file; its address changes with its content."""
    del version
    found = file(name)
    if found is None:
        raise ProblemError(404, "There is no such file")
    return found

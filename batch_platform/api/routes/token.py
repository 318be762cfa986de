"""What a token is: for whoever was given one and wants to know whether it works."""

from pydantic import BaseModel, Field

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.gateways.tokens import Scope

router = guarded_router("token")


class TokenView(BaseModel):
    """The token that was sent."""

    name: str = Field(examples=["django-service"])
    scope: Scope


@router.get(
    "/api/token/",
    summary="What the sent token is called and allows",
    dependencies=[require(Scope.VIEWER)],
)
async def token(caller: CallerParam) -> TokenView:
    """Answer with the token's name and scope, never with the token."""
    return TokenView(name=caller.name, scope=caller.scope)

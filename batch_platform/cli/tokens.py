"""`batch-platform tokens`: who may use the API."""

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from batch_platform.cli.console import err, marked, out, show_table
from batch_platform.core.days import utc_now
from batch_platform.core.settings import load_settings

if TYPE_CHECKING:
    from batch_platform.gateways.tokens import Token, TokenBook

app = typer.Typer(help="API 토큰을 만들고, 보고, 폐기합니다.", no_args_is_help=True)


class ScopeName(StrEnum):
    """The scopes, for `--help`, which imports nothing heavy."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@app.command(
    epilog="예: batch-platform tokens create --name django-service --scope operator --expires 365"
)
def create(
    name: Annotated[str, typer.Option(help="누구의, 무엇을 위한 토큰인지. 영문, 숫자, . _ @ -")],
    scope: Annotated[
        ScopeName,
        typer.Option(help="viewer 보기 · operator 보기와 실행 · admin 일정 변경까지"),
    ] = ScopeName.VIEWER,
    expires: Annotated[
        int | None, typer.Option(min=1, max=3650, help="며칠 뒤 만료할지. 기본: 만료하지 않음")
    ] = None,
) -> None:
    """토큰을 만들어 한 번만 보입니다. 저장되는 것은 해시뿐입니다."""
    from batch_platform.gateways.tokens import Scope

    lifetime = timedelta(days=expires) if expires else None
    token = _book().create(name, Scope(scope), lifetime)
    # The token alone goes to the output: a script can put it where it belongs.
    err.print("[yellow]지금 저장하세요. 다시 볼 수 없습니다.[/yellow]")
    typer.echo(token)


@app.command("list", epilog="예: batch-platform tokens list")
def show() -> None:
    """모든 토큰과 상태를 보입니다. 비밀은 보이지 않습니다."""
    tokens = _book().tokens()
    if not tokens:
        out.print("토큰이 없습니다. 만들기: batch-platform tokens create --name 이름")
        return
    zone = load_settings().platform.zone
    show_table(
        "API 토큰",
        ["이름", "범위", "ID", "만든 때", "마지막 사용", "만료", "상태"],
        [
            (
                token.name,
                token.scope,
                token.token_id,
                *(
                    f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else "-"
                    for at in (token.created_at, token.last_used_at, token.expires_at)
                ),
                _state(token),
            )
            for token in tokens
        ],
    )


@app.command(epilog="예: batch-platform tokens revoke django-service")
def revoke(name: Annotated[str, typer.Argument(help="토큰의 이름 또는 ID")]) -> None:
    """토큰을 폐기합니다. 2초 안에 더는 통하지 않습니다."""
    token_id = _book().revoke(name)
    out.print(f"폐기했습니다: {name} ({token_id})", markup=False)


def _book() -> "TokenBook":
    from batch_platform.gateways.platform_services import open_platform_db
    from batch_platform.gateways.tokens import TokenBook

    return TokenBook(open_platform_db(load_settings()))


def _state(token: "Token") -> Text:
    if token.revoked_at is not None:
        return marked("[dim]폐기됨[/dim]")
    return marked("[green]유효[/green]" if token.is_in_force(utc_now()) else "[red]만료됨[/red]")

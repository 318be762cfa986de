"""`batch-platform alerts`: what is wrong now, who is told of it, and whether that works.

What an option means is decided here; what a command does with it is in `alert_work`.
"""

from typing import Annotated

import typer

app = typer.Typer(help="열린 사건과, 누구에게 어떻게 알릴지를 관리합니다.", no_args_is_help=True)
routes_app = typer.Typer(help="어떤 사건을 어디로 알릴지 정합니다.", no_args_is_help=True)
app.add_typer(routes_app, name="routes")

Domain = Annotated[str | None, typer.Option("--domain", help="업무. 예: chats. 기본: 모두")]
Severity = Annotated[
    str | None,
    typer.Option("--severity", help="이 이상만: info, warning, error, critical"),
]
Channel = Annotated[str | None, typer.Option("--channel", help="mail, slack 또는 discord")]
To = Annotated[
    list[str] | None, typer.Option("--to", help="mail의 받는 사람. 여러 번 쓸 수 있습니다.")
]
Hours = Annotated[
    str | None,
    typer.Option("--hours", help="이 시간에만. 예: 09:00-18:00. 그 밖에는 기다립니다. 늘: any"),
]
Number = Annotated[int, typer.Argument(help="번호", show_default=False)]


@app.command("list", epilog="예: batch-platform alerts list")
def list_() -> None:
    """열린 사건과 보내지 못한 알림을 보입니다."""
    from batch_platform.cli import alert_work

    alert_work.show_incidents()


@app.command(epilog="예: batch-platform alerts mute 12 --hours 8")
def mute(
    number: Number,
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="몇 시간 동안")] = 8.0,
) -> None:
    """열린 사건 하나를 얼마 동안 알리지 않습니다. 사건은 그대로 보입니다."""
    from batch_platform.cli import alert_work

    alert_work.mute(number, hours)


@app.command(epilog="예: batch-platform alerts unmute 12")
def unmute(number: Number) -> None:
    """알리지 않던 사건을 다시 알립니다."""
    from batch_platform.cli import alert_work

    alert_work.mute(number, None)


@app.command("test", epilog="예: batch-platform alerts test   |   alerts test --domain chats")
def send_test(
    domain: Annotated[str, typer.Option("--domain", help="어느 업무의 사건인 것처럼")] = "",
    severity: Annotated[str, typer.Option("--severity", help="얼마나 심각한 것처럼")] = "error",
) -> None:
    """지금 그런 사건이 나면 갈 곳마다 시험 알림을 보냅니다. 하나라도 못 가면 종료 코드 1."""
    from batch_platform.cli import alert_work

    if not alert_work.send_test(domain, severity):
        raise typer.Exit(1)


@routes_app.command("list", epilog="예: batch-platform alerts routes list")
def list_routes() -> None:
    """길을 모두 보입니다. 하나도 없으면 모든 알림이 설정된 모든 곳으로 갑니다."""
    from batch_platform.cli import alert_work

    alert_work.show_routes()


@routes_app.command(
    epilog="예: alerts routes add --channel mail --to dba@example.org --domain backups"
    "   |   alerts routes add --channel slack --severity critical"
)
def add(
    channel: Annotated[str, typer.Option("--channel", help="mail, slack 또는 discord")],
    domain: Domain = None,
    severity: Severity = None,
    to: To = None,
    hours: Hours = None,
) -> None:
    """길을 더합니다. 그때부터 알림은 길이 있는 곳으로만 갑니다."""
    from batch_platform.cli import alert_work

    alert_work.add_route(
        alert_work.changes_of(domain=domain, severity=severity, channel=channel, to=to, hours=hours)
    )


@routes_app.command(epilog="예: batch-platform alerts routes edit 2 --severity warning")
def edit(
    number: Number,
    channel: Channel = None,
    domain: Domain = None,
    severity: Severity = None,
    to: To = None,
    hours: Hours = None,
) -> None:
    """길을 바꿉니다. 적지 않은 것은 그대로입니다."""
    from batch_platform.cli import alert_work

    changes = alert_work.changes_of(
        domain=domain, severity=severity, channel=channel, to=to, hours=hours
    )
    if not changes:
        raise typer.BadParameter("바꿀 것을 적어 주세요. 예: --severity warning")
    alert_work.edit_route(number, changes)


@routes_app.command(epilog="예: batch-platform alerts routes delete 2")
def delete(number: Number) -> None:
    """길을 없앱니다."""
    from batch_platform.cli import alert_work

    alert_work.delete_route(number)

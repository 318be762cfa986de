"""`batch-platform config`: what is set, and whether it works."""

from collections.abc import Sequence
from datetime import time
from typing import Annotated, cast

import typer
from pydantic import SecretStr

from batch_platform.cli.console import out, show_table
from batch_platform.core.redaction import without_credentials
from batch_platform.core.settings import (
    Section,
    Settings,
    UnreadableSettingsError,
    env_file,
    load_settings,
    unknown_variables,
)

app = typer.Typer(help="설정을 보고 확인합니다.", no_args_is_help=True)


@app.command(
    epilog="예: batch-platform config show --section chats   |   batch-platform config show --set"
)
def show(
    section: Annotated[str, typer.Option(help="한 묶음만: platform, chats, model, mail …")] = "",
    only_set: Annotated[bool, typer.Option("--set", help="값이 있는 것만 보입니다.")] = False,
) -> None:
    """모든 설정과 뜻을 보입니다. 비밀 값은 가립니다."""
    settings = load_settings()
    places = f"프로필 {settings.profile} · 파일 {env_file()} · 폴더 {settings.home}"
    out.print(places, markup=False, soft_wrap=True)
    names = list(dict.fromkeys(name for name, *_ in settings.variables()))
    if section and section not in names:
        raise typer.BadParameter(f"{section}은(는) 없는 묶음입니다. 가능: {', '.join(names)}")
    for name in names:
        if section in ("", name):
            rows = [
                (variable, masked(value), description)
                for owner, variable, _, value, description in settings.variables()
                if owner == name and not (only_set and value in (None, "", []))
            ]
            if rows:
                show_table(name, ["변수", "값", "뜻"], rows)


@app.command(epilog="예: batch-platform config validate && batch-platform chats batch")
def validate() -> None:
    """설정과 데이터베이스, 메일, 모델에 닿는지 확인합니다. 문제가 있으면 종료 코드 2."""
    from batch_platform.cli.reach import reach_everything, show_reached
    from batch_platform.resources.roles import active_settings

    try:
        settings = active_settings()
    except UnreadableSettingsError as error:
        show_table("읽을 수 없는 설정", ["문제"], [(problem,) for problem in error.problems])
        raise typer.Exit(2) from None
    unknown = unknown_variables()
    if unknown:
        show_table(
            f"{env_file().name}에 있지만 설정이 아닌 이름",
            ["이름", "혹시"],
            [(name, like or "") for name, like in unknown.items()],
        )
    results = reach_everything(settings)
    show_reached("설정 확인", results)
    if any(result.is_problem for result in results):
        raise typer.Exit(2)
    out.print("[green]문제가 없습니다.[/green]")


def masked(value: object) -> str:
    """A setting's value as a person may see it."""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, list | tuple):
        return ", ".join(masked(each) for each in cast("Sequence[object]", value))
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return "" if value is None else without_credentials(str(value))


@app.command(epilog="예: batch-platform config example > .env")
def example() -> None:
    """모든 변수의 기본값과 뜻이 적힌 .env 견본을 출력합니다."""
    typer.echo(env_example(), nl=False)


def env_example() -> str:
    """The text of `.env.example`: every variable with its default and meaning, commented out."""
    lines = [
        "# Settings of the batch platform. Copy to .env and uncomment what you need.",
        "# Written by `batch-platform config example`; a variable in the environment wins.",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if not (isinstance(section, type) and issubclass(section, Section)):
            continue
        heading = " ".join((section.__doc__ or name).split())
        lines += ["", f"# --- {heading}"]
        for variable, attribute in section.model_fields.items():
            default = attribute.get_default()
            lines.append(f"# {attribute.description}")
            lines.append(f"#{attribute.validation_alias or variable}={masked(default)}")
    return "\n".join(lines) + "\n"

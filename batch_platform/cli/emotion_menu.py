"""The menu of the old batch monitor: numbers instead of commands."""

from collections.abc import Callable

import typer

from batch_platform.cli import emotion_work
from batch_platform.cli.console import out, show_error
from batch_platform.core.errors import PlatformError
from batch_platform.core.settings import Settings

_CHOICES = (
    ("1", "배치 목록"),
    ("2", "상태 보기"),
    ("3", "지켜보기"),
    ("4", "결과 보기"),
    ("5", "새 배치 보내기"),
    ("6", "이어서 하기"),
    ("7", "취소"),
    ("0", "끝내기"),
)


def show_menu(settings: Settings) -> None:
    """Ask what to do until a person has enough; an error is told and the menu comes back."""
    actions: dict[str, Callable[[Settings], None]] = {
        "1": lambda given: emotion_work.show_list(given, 20),
        "2": lambda given: emotion_work.show_status(given, _batch(given)),
        "3": lambda given: emotion_work.watch(given, _batch(given)),
        "4": lambda given: emotion_work.show_results(given, _batch(given)),
        "5": _submit,
        "6": lambda given: emotion_work.watch(given, _batch(given)),
        "7": _cancel,
    }
    while True:
        out.print("\n[bold]감정 분석 배치[/bold]")
        for number, name in _CHOICES:
            out.print(f"  {number}. {name}")
        chosen = typer.prompt("번호", default="0").strip()
        if chosen == "0":
            return
        action = actions.get(chosen)
        if action is None:
            out.print("목록에 있는 번호를 고르세요.")
            continue
        try:
            action(settings)
        except PlatformError as error:
            show_error(str(error))


def _batch(settings: Settings) -> str:
    newest = emotion_work.named(settings, "")
    return typer.prompt("배치 이름", default=newest).strip()


def _submit(settings: Settings) -> None:
    mode = typer.prompt("모드 (code_check, pilot, sampling, full)", default="pilot").strip()
    if mode not in ("code_check", "pilot", "sampling", "full"):
        out.print(f"{mode}: 없는 모드입니다.", markup=False)
        return
    wanted = emotion_work.asked(mode, "", "", "", is_direct=False)
    emotion_work.show_dry_run(settings, wanted, reads=True)
    if typer.confirm("보낼까요?"):
        key = emotion_work.submit(settings, wanted, reads=False)
        emotion_work.show_status(settings, key)


def _cancel(settings: Settings) -> None:
    key = _batch(settings)
    if typer.confirm(f"{key} 배치를 그만둘까요?"):
        emotion_work.cancel(settings, key)

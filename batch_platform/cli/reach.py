"""Trying whether all that the settings name can be reached. Reads only, asks no model anything."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from batch_platform.cli.console import marked, show_table
from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.workflow import read_categories
from batch_platform.domains.emotions.source import PostSource
from batch_platform.domains.fortunes.workflow import (
    OPTIONAL_COLUMNS,
    RESULT_COLUMNS,
    user_columns,
)
from batch_platform.domains.interventions.source import InterventionSource
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.resources.roles import (
    bulk_llm,
    chat_source,
    fortune_source,
    intervention_source,
)


@dataclass(frozen=True)
class Reached:
    """One thing that was tried: reached, switched off, or a problem with what to do about it."""

    what: str
    state: Literal["ok", "off", "bad"]
    note: str

    @property
    def is_problem(self) -> bool:
        """Whether a person must do something."""
        return self.state == "bad"


def reach_everything(settings: Settings) -> list[Reached]:
    """Try each thing in turn; one that fails does not keep the others from being tried.

    A domain whose source has no address is switched off, which is no problem.
    """
    reached = [_try("플랫폼 데이터베이스", lambda: _database(settings))]
    if settings.chats.engine is None:
        reached.append(_off("채팅 데이터베이스", "ENGINE_FOR_SQLALCHEMY"))
    else:
        reached += [
            _try("채팅 데이터베이스", lambda: _source(settings)),
            _try("카테고리", lambda: _categories(settings)),
            _try("보고서 폴더", lambda: _folder(settings)),
        ]
    if settings.fortunes.database_url is None:
        reached.append(_off("운세 데이터베이스", "DATABASE_URL"))
    else:
        reached.append(_try("운세 데이터베이스", lambda: _fortunes(settings)))
    if settings.interventions.database_url is None:
        reached.append(_off("환자 데이터베이스", "INTERVENTIONS_DATABASE_URL"))
    else:
        reached.append(_try("환자 데이터베이스", lambda: _interventions(settings)))
    if settings.emotions.source is None:
        reached.append(_off("감정 분석할 글", "EMOTIONS_SOURCE"))
    else:
        reached.append(_try("감정 분석할 글", lambda: _posts(settings)))
    return [
        *reached,
        _keys(
            "시세",
            {
                "KRX_AUTH_KEY": settings.stocks.krx_auth_key,
                "PUBLIC_DATA_SERVICE_KEY": settings.stocks.public_data_key,
            },
        ),
        _keys("공시", {"OPENDART_API_KEY": settings.stocks.opendart_key}),
        _try("모델", lambda: _model(settings)),
        _mail(settings),
    ]


def show_reached(title: str, results: Sequence[Reached]) -> None:
    """Show what was reached, a line each."""
    marks = {"ok": "[green]정상[/green]", "off": "[dim]꺼짐[/dim]", "bad": "[red]문제[/red]"}
    rows = [(result.what, marked(marks[result.state]), result.note) for result in results]
    show_table(title, ["무엇", "상태", "내용"], rows)


def _off(what: str, variable: str) -> Reached:
    return Reached(what, "off", f"{variable}이(가) 없어 이 업무는 꺼져 있습니다")


def _try(what: str, attempt: Callable[[], str]) -> Reached:
    try:
        return Reached(what, "ok", attempt())
    except PlatformError as error:
        return Reached(what, "bad", str(error))


def _database(settings: Settings) -> str:
    db = open_platform_db(settings)
    ((version,),) = db.fetch_all("SELECT current_setting('server_version')")
    kind = "내장" if settings.platform.database_url is None else "외부"
    return f"PostgreSQL {version} ({kind}) · {db.address}"


def _source(settings: Settings) -> str:
    source, chats = chat_source(settings), settings.chats
    reached = source.check_reachable()
    # Looks every table and column up; the categories' are read by themselves below.
    warnings = source.column_warnings(
        chats.table_chattings,
        [chats.column_chatting_pk, chats.column_input_text, chats.column_created_at],
    ) + source.column_warnings(
        chats.table_keywords,
        [
            chats.column_query_text,
            chats.column_keyword,
            chats.column_category_id,
            chats.column_query_count,
            chats.column_created_at,
            chats.column_batch_created_at,
        ],
    )
    return " ".join([reached, *warnings])


def _categories(settings: Settings) -> str:
    choice = read_categories(chat_source(settings), settings.chats)
    return f"{len(choice.offered)}개, 기본 {choice.default.name}"


def _fortunes(settings: Settings) -> str:
    source, fortunes = fortune_source(settings), settings.fortunes
    reached = source.check_reachable()
    # Looks every table and column up.
    columns = user_columns(source, fortunes)
    warnings = (
        *source.column_warnings(fortunes.table_users, columns.values()),
        *source.column_warnings(fortunes.table_results, RESULT_COLUMNS),
    )
    unknown = [usual for usual in OPTIONAL_COLUMNS if usual not in columns]
    told = f"{fortunes.table_users}에 없음: {', '.join(unknown)}" if unknown else ""
    return " ".join(filter(None, [reached, told, *warnings]))


def _interventions(settings: Settings) -> str:
    source = intervention_source(settings)
    warnings = InterventionSource(source, settings.interventions).warnings()
    return " ".join([source.check_reachable(), *warnings])


def _posts(settings: Settings) -> str:
    return PostSource(settings.emotions, settings.platform.zone).check_readable()


def _keys(what: str, keys: Mapping[str, object]) -> Reached:
    """Say which keys are set; a call would count against the day's quota."""
    given = [variable for variable, key in keys.items() if key]
    if not given:
        return _off(what, " 또는 ".join(keys))
    return Reached(what, "ok", f"{', '.join(given)} 있음 (부르지는 않았습니다)")


def _model(settings: Settings) -> str:
    return bulk_llm(settings, open_platform_db(settings)).check_reachable()


def _mail(settings: Settings) -> Reached:
    mailer = Mailer(settings.mail)
    if not mailer.is_configured:
        return Reached("메일", "off", "SMTP_SERVER, SENDER_EMAIL이 없어 메일을 보내지 않습니다")
    return _try("메일", lambda: f"{mailer.check_reachable()} · {_people(settings.mail.recipients)}")


def _people(recipients: Sequence[str]) -> str:
    return f"받는 사람 {len(recipients)}명" if recipients else "받는 사람 없음 (RECIPIENT_EMAILS)"


def _folder(settings: Settings) -> str:
    folder = settings.chats_report_folder
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        # Tried, not looked up: a folder that says it can be written to may still refuse.
        with tempfile.TemporaryFile(dir=existing):
            return str(folder)
    except OSError as error:
        raise ConfigurationError(
            f"{existing} cannot be written to: {error.strerror}", "Set CHATS_REPORT_FOLDER"
        ) from error

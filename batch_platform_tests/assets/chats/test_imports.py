"""What the old job classified is taken over: not asked, not mailed again, and it can be undone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from batch_platform.cli import import_work
from batch_platform.cli.imports import app
from batch_platform.core.days import utc_now
from batch_platform.core.progress import unheard
from batch_platform.core.settings import Profile
from batch_platform.domains.chats.dry_run import estimate_day
from batch_platform.domains.chats.importing import (
    SYSTEM,
    ChatImport,
    ChatImportOptions,
    source_rows,
)
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import all_categories
from batch_platform.gateways.import_book import ImportBook, ImportPlan, chosen
from batch_platform.gateways.table_files import FoundRow, read_rows
from batch_platform.resources.roles import bulk_llm, chat_source
from batch_platform.sandbox.old_exports import (
    KEYWORDS_HEADER,
    old_classifications,
    write_csv,
    write_old_report,
)
from batch_platform_tests import old_work
from batch_platform_tests.assets.chats.conftest import DAY, DAY_BEFORE, World
from batch_platform_tests.given_settings import settings_of

MODEL = ChatImportOptions("HCX-005")


def importing(world: World, rows: Sequence[FoundRow]) -> ChatImport:
    return ChatImport(
        rows,
        db=world.db,
        source=chat_source(world.settings),
        settings=world.settings,
        clock=utc_now,
        options=MODEL,
    )


def bring_in(world: World, path: Path) -> ImportPlan:
    importer = importing(world, list(read_rows(path)))
    return old_work.bring_in(SYSTEM, importer, db=world.db, instance=world.instance)


def made(world: World, asset: str) -> set[str]:
    return old_work.made_partitions(world.instance, f"chats/{asset}")


def asked(world: World) -> int:
    """Questions that a model was asked about and paid for."""
    return world.rows("SELECT count(*) FROM llm.calls")[0][0]


@pytest.fixture
def export(world: World, tmp_path: Path) -> Path:
    """Both days: the first whole, of the second all but three questions."""
    rows = old_classifications(world.source, DAY_BEFORE)
    rows += old_classifications(world.source, DAY, leaves_out=3)
    return write_csv(tmp_path / "예전분류.csv", KEYWORDS_HEADER, rows, encoding="utf-8-sig")


def test_a_night_after_an_import_asks_only_what_the_old_job_left_out(
    world: World, export: Path
) -> None:
    plan = bring_in(world, export)
    whole, part = plan.partitions
    assert not plan.bad_rows
    assert (whole.partition, whole.left) == (DAY_BEFORE.isoformat(), 0)
    assert (part.partition, part.left) == (DAY.isoformat(), 3)
    # The whole day is done, for Dagster and for whoever mails; the other is not.
    assert made(world, "classifications") == {DAY_BEFORE.isoformat()}
    assert asked(world) == 0

    # The dry run of the platform counts what is left, before it is paid for.
    settings, source = world.settings, chat_source(world.settings)
    estimate = estimate_day(
        DAY,
        source=source,
        llm=bulk_llm(settings, world.db),
        settings=settings,
        imported=ChatStore(world.db).imported_questions(DAY),
    ).estimate
    assert estimate.items == 3

    night = world.make(day=DAY)
    assert night.is_success, night.failures
    assert all(night.checks.values()), night.checks
    assert asked(world) == 3
    assert night.metadata("classifications")["questions_imported"] == part.items
    by = dict(
        world.rows(
            "SELECT model LIKE 'imported: HCX-005', count(DISTINCT question_id)"
            " FROM chats.classifications WHERE chat_date = %s GROUP BY 1",
            [DAY],
        )
    )
    assert by == {True: part.items, False: 3}
    # Published as the app reads them, old and new, each once.
    published = world.in_source(
        "SELECT count(*), count(DISTINCT query_text || char(0) || keyword || category_id)"
        " FROM admin_chat_keywords WHERE date(created_at) = ?",
        DAY.isoformat(),
    )
    rows = world.rows("SELECT count(*) FROM chats.classifications WHERE chat_date = %s", [DAY])
    assert published == [(rows[0][0], rows[0][0])]
    assert night.metadata("classifications")["dagster/row_count"] == rows[0][0]

    # By hand, the whole imported day once more: nothing is asked, lost or mailed a second time.
    mails, checksum = len(world.mails.mails()), world.checksum(DAY_BEFORE)
    again = world.make(day=DAY_BEFORE)
    assert again.is_success, again.failures
    assert all(again.checks.values()), again.checks
    assert asked(world) == 3
    assert world.checksum(DAY_BEFORE) == checksum
    assert len(world.mails.mails()) == mails
    assert again.metadata("report_mail")["note"] == "The old system mailed it"

    # Whoever wants the model's own answers says so, and pays.
    world.make("classifications", day=DAY_BEFORE, classify={"replaces_imported": True})
    assert asked(world) > 3
    assert not world.rows(
        "SELECT 1 FROM chats.questions WHERE chat_date = %s AND import_id IS NOT NULL",
        [DAY_BEFORE],
    )


def test_twice_gives_the_same_and_undoing_it_makes_the_days_undone_again(
    world: World, export: Path
) -> None:
    bring_in(world, export)
    checksum = world.checksum(DAY) + world.checksum(DAY_BEFORE)
    again = bring_in(world, export)
    assert [each.items for each in again.partitions] == [0, 0]
    assert world.checksum(DAY) + world.checksum(DAY_BEFORE) == checksum
    (record,) = ImportBook(world.db).imports()
    assert record.rows > 0

    old_work.take_back(record, db=world.db, settings=world.settings, instance=world.instance)
    assert world.rows("SELECT count(*) FROM chats.questions") == [(0,)]
    assert world.rows("SELECT count(*) FROM operations.sent_mails") == [(0,)]
    assert made(world, "classifications") == set()
    assert ImportBook(world.db).imports()[0].undone_at is not None
    assert sum(each.items for each in bring_in(world, export).partitions) > 0


def test_the_old_report_and_the_old_table_say_the_same(world: World, tmp_path: Path) -> None:
    rows = old_classifications(world.source, DAY)
    settings, source = world.settings, chat_source(world.settings)
    categories = {each.category_id: each.name for each in all_categories(source, settings.chats)}
    workbook = write_old_report(tmp_path, DAY, rows, categories)
    in_cp949 = [row for row in rows if row[0].encode("cp949", "replace").decode("cp949") == row[0]]
    table = write_csv(tmp_path / "t.csv", KEYWORDS_HEADER, in_cp949, encoding="cp949")
    for row in rows:
        world.in_source(
            "INSERT INTO admin_chat_keywords (query_text, keyword, category_id, query_count,"
            " created_at, batch_created_at) VALUES (?, ?, ?, ?, ?, ?)",
            *row,
        )
    plans = [
        importing(world, list(read_rows(workbook, sheet="채팅키워드분류"))).plan(unheard),
        importing(world, list(source_rows(source, settings.chats))).plan(unheard),
        importing(world, list(read_rows(table))).plan(unheard),
    ]
    questions = len({row[0] for row in rows})
    assert [plan.bad_rows for plan in plans] == [[], [], []]
    assert [plan.partitions[0].items for plan in plans[:2]] == [questions, questions]
    assert plans[2].partitions[0].items == len({row[0] for row in in_cp949})


def test_a_bad_row_is_told_with_its_line_and_keeps_everything_out(
    world: World, export: Path, tmp_path: Path
) -> None:
    lines = export.read_text(encoding="utf-8-sig").splitlines()
    header, first = lines[0], old_classifications(world.source, DAY)[0]
    bad = [
        (*first[:2], 99, *first[3:]),
        (*first[:4], "어제", first[5]),
        ("아무도 묻지 않은 질문", *first[1:]),
        (first[0], " ", *first[2:]),
    ]
    path = write_csv(tmp_path / "bad.csv", header.split(","), [*bad, first])
    with path.open("a", encoding="utf-8") as file:
        file.write("한,칸,모자람\r\n")
    plan = bring_in(world, path)
    assert [(row.place, row.problem) for row in plan.bad_rows] == [
        ("bad.csv:2", "카테고리 표에 없는 카테고리입니다: 99"),
        ("bad.csv:3", "시각이 아닙니다: 어제"),
        ("bad.csv:5", "키워드가 비어 있습니다"),
        ("bad.csv:7", "칸이 6개여야 하는데 3개입니다"),
        ("bad.csv:4", "그날의 채팅에 없는 질문입니다"),
    ]
    assert world.rows("SELECT count(*) FROM operations.imports") == [(0,)]
    assert chosen(plan, skips_bad=True) == []
    assert date.fromisoformat(plan.partitions[0].partition) == DAY


def test_the_commands_show_what_would_come_bring_it_list_it_and_take_it_back(
    world: World, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(Profile.DEMO, **world.variables, PLATFORM_DATABASE_URL=world.db.url)

    @contextmanager
    def opened(_settings: object) -> Iterator[dg.DagsterInstance]:
        yield world.instance

    monkeypatch.setattr(import_work, "active_settings", lambda: settings)
    monkeypatch.setattr(import_work, "opened_instance", opened)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    assert "가져온 것이 없습니다" in run("list")[1]
    code, shown = run("chats", str(export), "--dry-run")
    assert code == 0, shown
    assert "아무것도 쓰지 않았습니다" in shown
    assert DAY_BEFORE.isoformat() in shown
    assert not ImportBook(world.db).imports()

    code, shown = run("chats", str(export), "-e", f"{DAY_BEFORE}", "--not-mailed")
    assert (code, "가져왔습니다" in shown) == (0, True), shown
    assert made(world, "classifications") == {DAY_BEFORE.isoformat()}
    assert made(world, "report_mail") == set()
    assert "새로 가져올 것이 없습니다" in run("chats", str(export), "-e", f"{DAY_BEFORE}")[1]
    assert export.name in run("list")[1]
    assert run("undo", "1", "--yes")[0] == 0
    assert "되돌림" in run("list")[1]

    # Ended in between: the day that was written stands, and the same command goes on.
    number = ImportBook(world.db).begin(
        SYSTEM, ["killed"], by="test", refused_rows=0, is_made_up=True, now=utc_now()
    )
    killed = importing(world, list(read_rows(export)))
    killed.plan()
    killed.write(DAY_BEFORE.isoformat(), number, "import")
    assert "중단됨" in run("list")[1]
    assert "중단되었던 #2" in run("chats", str(export), "-e", f"{DAY_BEFORE}")[1]
    assert made(world, "classifications") == {DAY_BEFORE.isoformat()}
    assert run("undo", "2", "--yes")[0] == 0

    # A bad row: nothing is imported, unless its day is left out.
    text = export.read_text(encoding="utf-8-sig")
    bad = tmp_path / "bad.csv"
    bad.write_text(
        text + f"빠진 질문,키워드,1,1,{DAY} 09:00:00,{DAY} 09:00:00\r\n", encoding="utf-8"
    )
    code, shown = run("chats", str(bad))
    assert code == 1
    assert "그날의 채팅에 없는 질문입니다" in shown
    assert len(ImportBook(world.db).imports()) == 2
    code, shown = run("chats", str(bad), "--skip-bad")
    assert code == 0, shown
    brought = ImportBook(world.db).imports()[0]
    assert (brought.first_partition, brought.last_partition) == (
        DAY_BEFORE.isoformat(),
        DAY_BEFORE.isoformat(),
    )
    assert brought.refused_rows == 1

"""`batch-platform quarantine`: what models could not answer, asked about again or given up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from batch_platform.cli.console import out, person, show_table
from batch_platform.core.days import utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import load_settings

if TYPE_CHECKING:
    from batch_platform.gateways.platform_db import PlatformDb
    from batch_platform.operations.quarantine import ItemKey, QuarantineBook

app = typer.Typer(
    help="모델이 답하지 못해 보류한 항목을 보고, 다시 묻거나 버립니다.", no_args_is_help=True
)

_LONGEST_REASON = 90

Task = Annotated[str, typer.Argument(help="질문의 이름. 예: chats.classify", show_default=False)]
Partition = Annotated[str, typer.Argument(help="파티션. 예: 2026-11-20", show_default=False)]
ItemId = Annotated[str, typer.Argument(help="항목의 ID", show_default=False)]
Items = Annotated[
    list[str] | None, typer.Argument(help="질문의 이름, 파티션, 항목의 ID", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="보류된 모든 항목")]
Domain = Annotated[str | None, typer.Option("--domain", help="이 분야만. 예: chats")]
Day = Annotated[str | None, typer.Option("--partition", help="이 파티션만. 예: 2026-11-20")]


@app.command("list", epilog="예: batch-platform quarantine list --domain chats")
def list_(
    domain: Domain = None,
    partition: Day = None,
    discarded: Annotated[
        bool, typer.Option("--discarded", help="버린 항목도 함께 보입니다")
    ] = False,
) -> None:
    """보류된 항목과 그 이유를 보입니다."""
    items = _book().items(domain=domain, partition=partition, with_discarded=discarded)
    if not items:
        out.print("보류된 항목이 없습니다.")
        return
    show_table(
        f"보류된 항목 {len(items):,}건",
        ["질문", "파티션", "ID", "이유", "버린 이유"][: 5 if discarded else 4],
        [
            (
                each.key.task,
                each.key.partition,
                each.key.item_id,
                _cut(each.reason),
                *([each.discarded_because] if discarded else []),
            )
            for each in items
        ],
    )


@app.command(epilog="예: batch-platform quarantine show chats.classify 2026-11-20 a81f3c")
def show(task: Task, partition: Partition, item_id: ItemId) -> None:
    """항목 하나의 이유, 모델, 비용을 보입니다."""
    item = _book().get(_key(task, partition, item_id))
    zone = load_settings().platform.zone
    rows = [
        ("이유", item.reason),
        ("보류한 때", f"{item.at.astimezone(zone):%Y-%m-%d %H:%M}"),
        ("모델", item.model or "묻지 않음"),
        ("물은 횟수", "-" if item.attempts is None else str(item.attempts)),
        ("비용", "-" if item.cost_krw is None else f"{item.cost_krw:,.2f}원"),
    ]
    if item.discarded_because:
        rows.append(("버린 이유", f"{item.discarded_because} ({item.discarded_by})"))
    show_table(f"{task} {partition} {item_id}", ["무엇", "값"], rows)


@app.command(
    epilog="예: batch-platform quarantine retry chats.classify 2026-11-20 a81f3c"
    "   |   batch-platform quarantine retry --all --domain chats"
)
def retry(
    items: Items = None, everything: All = False, domain: Domain = None, partition: Day = None
) -> None:
    """항목을 다시 묻습니다. 그날의 작업이 다시 시작해, 없는 답만 묻습니다."""
    from batch_platform.operations.quarantine import REPLACE_ANSWERED
    from batch_platform.operations.schedules import OccurrenceBook

    book = _book()
    keys = _chosen(book, items, everything=everything, domain=domain, partition=partition)
    occurrences = OccurrenceBook(_db(), utc_now)
    done = book.ask_again(keys, occurrences, requested_by=person())
    if not done.items and not done.answered:
        out.print("보류된 항목이 없습니다.")
    if done.items:
        out.print(f"{done.items:,}건을 다시 묻습니다. 데몬이 30초 안에 시작합니다:")
    for job, day in done.runs:
        out.print(f"  {job} {day}", highlight=False)
    if done.answered:
        out.print(f"{done.answered:,}건은 규칙이 쓴 권고가 이미 있어 저절로 다시 묻지 않습니다.")
        out.print("그날의 권고를 모델의 답으로 바꾸려면:")
    for day in done.answered_partitions:
        out.print(f"  {REPLACE_ANSWERED.format(partition=day)}", highlight=False, soft_wrap=True)


@app.command(
    epilog="예: batch-platform quarantine discard chats.classify 2026-11-20 a81f3c --reason 욕설"
)
def discard(
    items: Items = None,
    reason: Annotated[str, typer.Option("--reason", help="버리는 이유")] = "",
    everything: All = False,
    domain: Domain = None,
    partition: Day = None,
) -> None:
    """항목을 이유와 함께 버립니다. 기록은 남습니다."""
    book = _book()
    keys = _chosen(book, items, everything=everything, domain=domain, partition=partition)
    count = book.discard(keys, reason, discarded_by=person())
    out.print(f"{count:,}건을 버렸습니다." if count else "보류된 항목이 없습니다.")


def _chosen(
    book: "QuarantineBook",
    items: Sequence[str] | None,
    *,
    everything: bool,
    domain: str | None,
    partition: str | None,
) -> "list[ItemKey]":
    """The items that a command means: one that is named, or all that the options leave.

    Raises:
        PermanentError: Neither, or both.
    """
    if everything and not items:
        return [each.key for each in book.items(domain=domain, partition=partition, limit=100_000)]
    if items and len(items) == 3 and not everything and not domain and not partition:
        return [_key(*items)]
    raise PermanentError(
        "Name one item by task, partition and id, or say --all",
        "See batch-platform quarantine list",
    )


def _key(task: str, partition: str, item_id: str) -> "ItemKey":
    from batch_platform.operations.quarantine import ItemKey

    return ItemKey(task, partition, item_id)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _book() -> "QuarantineBook":
    from batch_platform.operations.quarantine import QuarantineBook

    return QuarantineBook(_db(), utc_now)


def _db() -> "PlatformDb":
    from batch_platform.gateways.platform_services import open_platform_db

    return open_platform_db(load_settings())

"""Made-up exports of the old systems, each in the format that the old system itself wrote.

What they say was done is made up; whose it is (chats, users, stocks) comes from sample data.
"""

import csv
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell

REPORT_HEADER = ("질문내용", "키워드", "카테고리", "질문횟수", "생성일시")
KEYWORDS_HEADER = (
    *("query_text", "keyword", "category_id", "query_count", "created_at", "batch_created_at"),
)


def write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    encoding: str = "utf-8-sig",
) -> Path:
    """Write a CSV as the old systems' users export one: with a mark, or in CP949."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def old_classifications(
    source: Path, day: date, *, leaves_out: int = 0
) -> list[tuple[str, str, int, int, str, str]]:
    """Rows of `admin_chat_keywords` for a day of the sample's chats.

    Args:
        source: The sample's SQLite file.
        day: The day.
        leaves_out: Questions that the old job did not get to.
    """
    with closing(sqlite3.connect(source)) as connection:
        questions = connection.execute(
            "SELECT input_text, count(*), min(created_at) FROM chattings"
            " WHERE date(created_at) = ? AND trim(input_text) <> ''"
            " GROUP BY input_text ORDER BY min(created_at), input_text",
            [day.isoformat()],
        ).fetchall()
    batched_at = f"{day + timedelta(days=1)} 01:07:00"
    rows: list[tuple[str, str, int, int, str, str]] = []
    for number, (text, count, asked_at) in enumerate(questions[: len(questions) - leaves_out]):
        if not text.strip("\u200b\ufeff\u3000\u00a0 \t\r\n"):
            continue
        first = (text, f"키워드{number % 7}", number % 10 + 1, count, asked_at, batched_at)
        rows.append(first)
        if number % 3 == 0:
            rows.append((text, f"둘째{number % 5}", 11, count, asked_at, batched_at))
    return rows


def write_old_report(
    folder: Path, day: date, rows: Iterable[Sequence[Any]], categories: Mapping[int, str]
) -> Path:
    """Write a day's Excel report as the old job named and laid it out (its first sheet)."""
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("채팅키워드분류")
    sheet.append(REPORT_HEADER)
    for question, keyword, category, count, _, batched_at in rows:
        made_at = datetime.fromisoformat(batched_at)
        text = WriteOnlyCell(sheet, question)
        text.data_type = "s"  # a question that begins with = is no formula
        sheet.append([text, keyword, categories[category], count, made_at])
    for name in ("카테고리별통계", "일별통계", "상위키워드", "상위질문", "요약정보"):
        workbook.create_sheet(name)
    path = folder / f"채팅키워드분류보고서_{day}.xlsx"
    workbook.save(path)
    return path


PRICES_HEADER = (
    *("ticker", "date", "open", "high", "low", "close", "volume", "trading_value"),
    *("market_cap", "shares_outstanding", "change_amount", "change_rate"),
)
STOCKS_HEADER = (
    *("ticker", "name", "name_en", "market", "sector_id", "listing_date"),
    *("delisting_date", "is_active"),
)


def write_old_prices(path: Path, prices: Iterable[Mapping[str, Any]], **options: str) -> Path:
    """Write `daily_prices` as the old updater's database exports it: no market, zeros for halts."""
    rows = (
        ["" if price[name] is None else price[name] for name in PRICES_HEADER] for price in prices
    )
    return write_csv(path, PRICES_HEADER, rows, **options)


def write_old_stocks(path: Path, markets: Mapping[str, str], **options: str) -> Path:
    """Write `stocks` as the old updater's database exports it."""
    rows = (
        [ticker, f"가상종목 {ticker}", "", market, "", "2001-01-02", "", "t"]
        for ticker, market in markets.items()
    )
    return write_csv(path, STOCKS_HEADER, rows, **options)


def old_fortune(user_id: object, for_date: date, *, number: int = 0) -> dict[str, object]:
    """A completed row of `core_fortuneresult` as the old job wrote it: three texts, no more."""
    summary = f"차분히 하루를 시작하면 {number}번째 반가운 소식이 찾아오는 날입니다"
    return {
        "user_id": user_id,
        "for_date": for_date.isoformat(),
        "gapja_code": (for_date.toordinal() + 1721425 + 49) % 60,
        "gapja_name": "기해",
        "gapja_element": "토",
        "fortune_data": {
            "today_fortune_summary": summary,
            "today_element_balance_description": f"오행의 균형이 {number % 10}만큼 고릅니다.",
            "today_daily_guidance": f"오후 {number % 12}시에 잠시 쉬어 가세요.",
        },
        "fortune_score": {
            "entropy_score": 80 + number % 20,
            "elements": {},
            "element_distribution": {},
            "interpretation": "고른 오행입니다.",
            "needed_element": "수",
        },
        "status": "completed",
        "created_at": f"{for_date - timedelta(days=1)}T13:00:05Z",
        "updated_at": f"{for_date - timedelta(days=1)}T13:00:07Z",
    }


def old_recommendation(user_id: object, day: date, gubun: str = "all") -> dict[str, object]:
    """A row of `InterventionRecord` as the old system wrote it."""
    return {
        "user_id": user_id,
        "record_date": day.isoformat(),
        "target_date": (day + timedelta(days=1)).isoformat(),
        "gubun": gubun,
        "diet_evaluation": "어제는 고르게 드셨습니다.",
        "diet_target": {
            "Breakfast": "쌀밥과 두부조림",
            "Lunch": "닭가슴살",
            "Dinner": "감자",
            "Summary": "천천히 드세요",
        },
        "food_evaluation": "기름진 음식이 적었습니다.",
        "sleep_evaluation": "",
        "sleep_target": "일곱 시간 주무세요.",
        "exercise_evaluation": f"{user_id}번째 길을 걸으셨습니다.",
        "exercise_target": "6,000보를 걸어 보세요.",
        "processing_time": 2.4,
        "error_message": "",
        "input_data": {},
        "output_data": {},
    }


HISTORY_HEADER = (
    *("id", "post_id", "comment_id", "analysis_date", "analysis_type", "model_used"),
    *("dominant_emotion", "analysis_file"),
)


def old_history(post_id: int, comment_id: int | None, at: datetime, model: str) -> list[object]:
    """A row of the old scripts' history, as R writes it: `NA` where there is no comment."""
    return [
        f"{post_id}_{comment_id or 0}",
        post_id,
        "NA" if comment_id is None else comment_id,
        f"{at:%Y-%m-%d %H:%M:%S}",
        "sampling",
        model,
        "기쁨",
        f"sampling_{at:%Y%m%d_%H%M%S}.csv",
    ]


def old_answer(post_id: int, comment_id: int | None) -> dict[str, object]:
    """An old result: the post's columns and the model's answer, as the scripts merged them."""
    return {
        "post_id": post_id,
        "comment_id": comment_id,
        "구분": "게시글" if comment_id is None else "댓글",
        "title": "",
        "content": f"글 {post_id}",
        "plutchik_emotions": {
            **dict.fromkeys(("신뢰", "공포", "놀람", "슬픔", "혐오", "분노", "기대"), 0.1),
            "기쁨": 0.8,
        },
        "PAD": {"P": 0.6, "A": 0.2, "D": 0.1},
        "dominant_emotion": "기쁨",
        "complex_emotion": "낙관",
        "rationale": {
            "emotion_scores": "즐거운 글",
            "PAD_analysis": "밝음",
            "complex_emotion_reasoning": "기쁨과 기대",
        },
    }


def write_dumpdata(path: Path, model: str, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows as Django's `dumpdata` does: a user is `user`, not `user_id`."""
    items = [
        {
            "model": model,
            "pk": number,
            "fields": {name.removesuffix("_id"): value for name, value in row.items()},
        }
        for number, row in enumerate(rows, 1)
    ]
    path.write_text(json.dumps(items, ensure_ascii=False), encoding="utf-8")
    return path

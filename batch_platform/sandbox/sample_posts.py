"""Made-up posts and comments of a board, as the emotions' source has them: a CSV.

The same day always has the same posts.
"""

import csv
import os
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

POSTS_A_DAY = 12
DAYS = 30
HEADER = (
    "post_id",
    "comment_id",
    "구분",
    "title",
    "content",
    "depth",
    "views",
    "likes",
    "date",
)
_TOPICS = ("새 급식 식단", "체험 학습", "도서관 공사", "축제 준비", "시험 일정", "학교 앞 신호등")
_FEELINGS = (
    "정말 기대됩니다. 아이도 손꼽아 기다려요.",
    "생각보다 늦어져서 많이 실망했습니다.",
    "고생하신 분들께 감사드립니다!",
    "이렇게 위험한 걸 왜 그냥 두는지 화가 납니다.",
    "갑자기 바뀌어서 깜짝 놀랐어요.",
    "솔직히 조금 걱정됩니다.",
    "믿고 맡길 수 있어서 든든하네요.",
    "ㅋㅋㅋ 역시나 그럴 줄 알았습니다.",
    "",
)


def write_csv(path: Path, last_day: date) -> None:
    """Write the posts of the last days up to `last_day`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for before in range(DAYS - 1, -1, -1):
            writer.writerows(_posts(last_day - timedelta(days=before)))
    os.replace(unfinished, path)


def _posts(day: date) -> Iterator[tuple[object, ...]]:
    drawn = random.Random(day.toordinal())  # noqa: S311 - made-up texts
    for number in range(1, POSTS_A_DAY + 1):
        post_id = day.toordinal() * 100 + number
        topic, feeling = drawn.choice(_TOPICS), drawn.choice(_FEELINGS)
        is_comment = number % 3 == 0
        yield (
            post_id - 1 if is_comment else post_id,
            post_id if is_comment else "",
            "댓글" if is_comment else "게시글",
            "" if is_comment else f"{topic} 이야기",
            f"{topic}, {feeling}" if feeling else "",
            int(is_comment),
            drawn.randrange(1, 900),
            drawn.randrange(40),
            day.isoformat(),
        )

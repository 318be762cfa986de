"""What a report over a period reads from the platform's database. Other SQL is in `store`."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

from batch_platform.domains.chats.models import (
    CategoryTotal,
    ClassificationRow,
    DayTotal,
    KeywordTotal,
    QuestionTotal,
    ReportSummary,
)
from batch_platform.gateways.platform_db import PlatformDb


class ChatReportSource:
    """What a report over [start, end] says. Implements `report.ReportSource`."""

    def __init__(
        self,
        db: PlatformDb,
        start: date,
        end: date,
        *,
        default_category_id: int,
        generated_at: datetime,
    ) -> None:
        self._db = db
        self._start, self._end = start, end
        self._parameters = {"start": start, "end": end, "default": default_category_id}
        self._generated_at = generated_at

    def classifications(self) -> Iterator[ClassificationRow]:
        """Yield the first sheet's lines, day by day, the most frequent questions first."""
        for row in self._db.stream(
            "SELECT chat_date, question, keyword, category_id, category_name, query_count, asked_at"
            " FROM chats.classifications WHERE chat_date BETWEEN %(start)s AND %(end)s"
            " ORDER BY chat_date, query_count DESC, question_id, keyword, category_id",
            self._parameters,
        ):
            yield ClassificationRow(*row)

    def category_totals(self) -> list[CategoryTotal]:
        """Final categories, the most asked first."""
        return [
            CategoryTotal(*row)
            for row in self._rows(
                "SELECT final_category, count(*), sum(query_count)::bigint FROM chats.questions"
                " WHERE chat_date BETWEEN %(start)s AND %(end)s AND state = 'classified'"
                " GROUP BY final_category_id, final_category ORDER BY 3 DESC, final_category_id"
            )
        ]

    def day_totals(self) -> list[DayTotal]:
        """Every extracted day of the period, in order."""
        return [
            DayTotal(*row)
            for row in self._rows(
                """
                SELECT extraction.chat_date, extraction.landed_rows, extraction.blank_rows,
                       count(question.question_id),
                       count(*) FILTER (WHERE question.state = 'classified'),
                       count(*) FILTER (WHERE question.state = 'quarantined'),
                       count(*) FILTER (WHERE question.final_category_id = %(default)s)
                FROM chats.extractions AS extraction
                LEFT JOIN chats.questions AS question USING (chat_date)
                WHERE extraction.chat_date BETWEEN %(start)s AND %(end)s
                GROUP BY extraction.chat_date ORDER BY extraction.chat_date
                """
            )
        ]

    def keyword_totals(self, limit: int) -> list[KeywordTotal]:
        """Keywords, the most asked first."""
        return [
            KeywordTotal(*row)
            for row in self._rows(
                """
                SELECT keyword, count(DISTINCT question_id), sum(query_count)::bigint
                FROM (
                    SELECT DISTINCT chat_date, question_id, keyword, query_count
                    FROM chats.classifications WHERE chat_date BETWEEN %(start)s AND %(end)s
                ) AS asked
                GROUP BY keyword ORDER BY 3 DESC, keyword COLLATE "C" LIMIT %(limit)s
                """,
                limit,
            )
        ]

    def question_totals(self, limit: int) -> list[QuestionTotal]:
        """Questions with their category (or what became of them), the most asked first."""
        return [
            QuestionTotal(*row)
            for row in self._rows(
                """
                SELECT question, max(coalesce(final_category, '보류')), sum(query_count)::bigint
                FROM chats.questions WHERE chat_date BETWEEN %(start)s AND %(end)s
                GROUP BY question_id, question
                ORDER BY 3 DESC, question COLLATE "C" LIMIT %(limit)s
                """,
                limit,
            )
        ]

    def summary(self) -> ReportSummary:
        """The figures a manager reads first."""
        days = self.day_totals()
        length = (self._end - self._start).days + 1
        ((keywords, rows, models, made_up),) = self._rows(
            """
            SELECT count(DISTINCT keyword), count(*), string_agg(DISTINCT model, ', '),
                   EXISTS (SELECT 1 FROM chats.extractions WHERE is_made_up
                           AND chat_date BETWEEN %(start)s AND %(end)s)
                   OR coalesce(bool_or(is_made_up), false)
            FROM chats.classifications WHERE chat_date BETWEEN %(start)s AND %(end)s
            """
        )
        ((previous,),) = self._db.fetch_all(
            "SELECT sum(landed_rows)::bigint FROM chats.extractions"
            " WHERE chat_date BETWEEN %s AND %s",
            [self._start - timedelta(days=length), self._start - timedelta(days=1)],
        )
        ((cost,),) = self._rows(
            """
            SELECT coalesce(sum(cost_krw), 0)::float8 FROM llm.calls
            WHERE task = 'chats.classify'
              AND used_by[1] BETWEEN to_char(%(start)s::date, 'YYYY-MM-DD')
                                  AND to_char(%(end)s::date, 'YYYY-MM-DD')
            """
        )
        return ReportSummary(
            start=self._start,
            end=self._end,
            chat_count=sum(day.chat_count for day in days),
            blank_count=sum(day.blank_count for day in days),
            question_count=sum(day.question_count for day in days),
            classified_count=sum(day.classified_count for day in days),
            quarantined_count=sum(day.quarantined_count for day in days),
            unclassified_count=sum(day.unclassified_count for day in days),
            keyword_count=keywords,
            classification_rows=rows,
            previous_chat_count=previous,
            model=models or "",
            cost_krw=cost,
            is_made_up=made_up,
            generated_at=self._generated_at,
        )

    def _rows(self, query: LiteralString, limit: int | None = None) -> list[tuple[Any, ...]]:
        return self._db.fetch_all(query, {**self._parameters, "limit": limit})

"""SQL of posts, of a batch's requests, of analyses and their history.

Rules are in `logic`, tables in `migrations/`; batches and their jobs are in `job_store`.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pyarrow as pa

from batch_platform.domains.emotions.models import (
    EMOTION_FIELDS,
    Batch,
    BatchCounts,
    Candidate,
    EmotionAnswer,
    LeftOut,
    Mode,
    Post,
    RequestState,
)
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb, Spool

POSTS_SCHEMA = pa.schema(
    [
        ("post_date", pa.date32()),
        ("post_key", pa.string()),
        ("post_id", pa.string()),
        ("comment_id", pa.string()),
        ("kind", pa.string()),
        ("title", pa.string()),
        ("content", pa.string()),
        ("depth", pa.int32()),
        ("views", pa.int64()),
        ("likes", pa.int64()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `emotions.posts`."""

REQUESTS_SCHEMA = pa.schema(
    [
        ("batch_key", pa.string()),
        ("post_key", pa.string()),
        ("post_date", pa.date32()),
        ("custom_id", pa.string()),
        ("asked_as", pa.string()),
        ("model", pa.string()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("text", pa.string()),
        ("ledger_key", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `emotions.batch_requests` as they are chosen; a ledger key is written `\\x…`."""

ANALYSES_SCHEMA = pa.schema(
    [
        ("batch_key", pa.string()),
        ("post_key", pa.string()),
        ("post_id", pa.string()),
        ("comment_id", pa.string()),
        ("post_date", pa.date32()),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("dominant_emotion", pa.string()),
        ("complex_emotion", pa.string()),
        *((name, pa.float64()) for name in EMOTION_FIELDS),
        ("pleasure", pa.float64()),
        ("arousal", pa.float64()),
        ("dominance", pa.float64()),
        ("emotion_scores_reason", pa.string()),
        ("pad_reason", pa.string()),
        ("complex_emotion_reason", pa.string()),
        ("model_used", pa.string()),
        ("prompt_version", pa.string()),
        ("analysed_at", pa.timestamp("us", "UTC")),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `emotions.analyses`, and of the files beside it."""

EVERY_BATCH = "every batch"
"""Under this name batches choose their posts one after another."""


@dataclass(frozen=True, slots=True)
class Request:
    """A text that is asked, under the custom id of the post that it is asked as."""

    custom_id: str
    text: str
    ledger_key: bytes


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What is to be stored of a text without a usable answer."""

    custom_id: str
    state: RequestState
    reason: str
    raw_line: str | None = None


class EmotionStore:
    """Posts, requests, analyses and history in the platform's database."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def replace_posts(
        self, days: Sequence[date] | None, rows: Spool, transaction: PartitionTransaction
    ) -> None:
        """Put the posts of some days in place of what was read of them before.

        Args:
            days: Which; None for all that there are.
            rows: The new ones.
            transaction: In which it happens.
        """
        old = transaction.connection.execute(
            "DELETE FROM emotions.posts WHERE post_date = ANY(%(days)s) OR %(days)s IS NULL"
            " RETURNING post_date",
            {"days": None if days is None else list(days)},
        )
        gone = {row[0] for row in old}
        transaction.append("emotions.posts", rows.batches())
        transaction.note_overwritten(
            "emotions.posts", ("post_date", sorted(gone | set(days or ())))
        )

    def post_count(self, days: Sequence[date]) -> int:
        """Posts of some days."""
        rows = self._db.fetch_all(
            "SELECT count(*) FROM emotions.posts WHERE post_date = ANY(%s)", [list(days)]
        )
        return rows[0][0]

    def days_with_posts(self) -> list[date]:
        """Days that have posts, in order."""
        rows = self._db.fetch_all("SELECT DISTINCT post_date FROM emotions.posts ORDER BY 1")
        return [row[0] for row in rows]

    def candidates(
        self,
        connection: psycopg.Connection,
        batch: Batch,
        analysed_since: datetime,
    ) -> list[Candidate]:
        """Every post that a batch could take, once, with why it is left out.

        Args:
            connection: Of the transaction that chooses.
            batch: Which one; what it has claimed itself is not in its way.
            analysed_since: From when on an analysis counts as lately.
        """
        rows = connection.execute(
            """
            SELECT DISTINCT ON (post_key) post_key, kind, to_char(post_date, 'YYYY-MM'), CASE
                WHEN btrim(title || content, E' \\t\\r\\n\\u00a0\\u3000') = '' THEN 'empty'
                WHEN EXISTS (SELECT FROM emotions.batch_requests AS others
                             WHERE others.post_key = posts.post_key AND others.model = %(model)s
                               AND others.is_open AND others.batch_key <> %(batch)s)
                    THEN 'in_flight'
                WHEN %(like)s::text IS NULL AND EXISTS (
                    SELECT FROM emotions.history
                    WHERE history.id = posts.post_key AND history.model_used = %(model)s
                      AND history.analysis_date > %(since)s) THEN 'analysed_lately'
            END
            FROM emotions.posts
            WHERE (%(first)s::date IS NULL OR post_date >= %(first)s)
              AND (%(last)s::date IS NULL OR post_date <= %(last)s)
              AND (%(like)s::text IS NULL OR post_key IN (
                  SELECT post_key FROM emotions.batch_requests
                  WHERE batch_key = %(like)s AND state <> 'left_out'))
            ORDER BY post_key, post_date DESC
            """,
            {
                "batch": batch.key,
                "model": batch.spec.model,
                "first": batch.spec.first_date,
                "last": batch.spec.last_date,
                "like": batch.spec.like_batch,
                "since": analysed_since,
            },
        )
        return [
            Candidate(key, (kind, month), LeftOut(reason) if reason else None)
            for key, kind, month, reason in rows
        ]

    def posts_named(
        self,
        connection: psycopg.Connection,
        batch: Batch,
        keys: Sequence[str],
    ) -> Iterator[Post]:
        """The newest version of posts, in the order of their keys, a few at a time in memory."""
        first, last = batch.spec.first_date, batch.spec.last_date
        with connection.cursor(name="posts_named") as cursor:
            cursor.itersize = 2_000
            cursor.execute(
                """
                SELECT DISTINCT ON (post_key) post_date, post_id, comment_id, kind, title, content
                FROM emotions.posts WHERE post_key = ANY(%s)
                  AND (%s::date IS NULL OR post_date >= %s)
                  AND (%s::date IS NULL OR post_date <= %s)
                ORDER BY post_key, post_date DESC
                """,
                [list(keys), first, first, last, last],
            )
            for row in cursor:
                yield Post(*row)

    def counts(self, batch_key: str) -> BatchCounts:
        """What became of a batch's posts."""
        rows = self._db.fetch_all(
            "SELECT state, CASE WHEN state = 'left_out' THEN reason END, count(*)"
            " FROM emotions.batch_requests WHERE batch_key = %s GROUP BY 1, 2",
            [batch_key],
        )
        states: dict[RequestState, int] = {}
        left_out: dict[str, int] = {}
        for state, reason, count in rows:
            states[RequestState(state)] = states.get(RequestState(state), 0) + count
            if reason is not None:
                left_out[reason] = count
        return BatchCounts(states, left_out)

    def waiting(self, batch_key: str) -> Iterator[Request]:
        """Texts of a batch that wait to be sent, in the order of their names."""
        return self._requests(
            "SELECT custom_id, text, ledger_key FROM emotions.batch_requests"
            " WHERE batch_key = %s AND state = 'waiting' AND asked_as = custom_id"
            ' ORDER BY custom_id COLLATE "C"',
            [batch_key],
        )

    def sent_in(self, run_key: str) -> Iterator[Request]:
        """Texts that belong to a job and have no end yet, in the order of their names."""
        return self._requests(
            "SELECT custom_id, text, ledger_key FROM emotions.batch_requests"
            " WHERE run_key = %s AND state = 'sent' AND asked_as = custom_id"
            ' ORDER BY custom_id COLLATE "C"',
            [run_key],
        )

    def _requests(self, query: LiteralString, parameters: Sequence[object]) -> Iterator[Request]:
        for custom_id, text, ledger_key in self._db.stream(query, parameters):
            yield Request(custom_id, text, bytes(ledger_key))

    def texts_of(self, run_key: str, custom_ids: Collection[str]) -> dict[str, Request]:
        """The named texts of a job that have no end yet, by custom id."""
        rows = self._db.fetch_all(
            "SELECT custom_id, text, ledger_key FROM emotions.batch_requests"
            " WHERE run_key = %s AND custom_id = ANY(%s) AND asked_as = custom_id"
            " AND state = 'sent'",
            [run_key, list(custom_ids)],
        )
        return {row[0]: Request(row[0], row[1], bytes(row[2])) for row in rows}

    def settle(
        self, batch_key: str, answered: Collection[str], others: Sequence[Unanswered]
    ) -> None:
        """Store what became of texts, and of every post that shares one, in one transaction.

        Args:
            batch_key: The batch.
            answered: Custom ids of those whose answers are in the ledger.
            others: The rest.
        """
        with self._db.connect("emotions results") as connection, connection.transaction():
            connection.execute(
                "UPDATE emotions.batch_requests"
                " SET state = 'answered', reason = NULL, raw_line = NULL"
                " WHERE batch_key = %s AND asked_as = ANY(%s) AND is_open",
                [batch_key, list(answered)],
            )
            connection.execute(
                "UPDATE emotions.batch_requests AS known"
                " SET state = given ->> 1, reason = given ->> 2, raw_line = given ->> 3,"
                "     run_key = CASE WHEN given ->> 1 = 'waiting' THEN NULL ELSE run_key END"
                " FROM jsonb_array_elements(%s::jsonb) AS given"
                " WHERE batch_key = %s AND asked_as = given ->> 0 AND is_open",
                [
                    json.dumps(
                        [
                            [each.custom_id, each.state.value, each.reason, each.raw_line]
                            for each in others
                        ]
                    ),
                    batch_key,
                ],
            )

    def release(self, run_key: str) -> None:
        """Let the texts of a job that never came to be wait again."""
        with self._db.connect("emotions jobs") as connection:
            connection.execute(
                "UPDATE emotions.batch_requests SET state = 'waiting', run_key = NULL"
                " WHERE run_key = %s AND state = 'sent'",
                [run_key],
            )

    def end_open(self, batch_key: str, state: RequestState, reason: str) -> int:
        """Give every post of a batch that waits an end; returns how many."""
        with self._db.connect("emotions results") as connection:
            return connection.execute(
                "UPDATE emotions.batch_requests SET state = %s, reason = %s"
                " WHERE batch_key = %s AND state = 'waiting'",
                [state.value, reason, batch_key],
            ).rowcount

    def answered(self, connection: psycopg.Connection, batch_key: str) -> Iterator[tuple[Any, ...]]:
        """Answered posts of a batch: key, id, comment, day, kind, text, ledger key; by key."""
        with connection.cursor(name="answered") as cursor:
            cursor.itersize = 1_000
            cursor.execute(
                """
                SELECT DISTINCT ON (post_key) post_key, coalesce(posts.post_id, post_key),
                       posts.comment_id, requests.post_date, requests.kind, text, ledger_key
                FROM emotions.batch_requests AS requests
                LEFT JOIN emotions.posts USING (post_key)
                WHERE batch_key = %s AND state = 'answered'
                ORDER BY post_key, posts.post_date DESC
                """,
                [batch_key],
            )
            yield from cursor

    def quarantined(self, batch_key: str) -> list[tuple[str, str, str | None]]:
        """Posts of a batch that were set aside: key, reason, what the provider answered."""
        return [
            (key, reason, raw)
            for key, reason, raw in self._db.fetch_all(
                "SELECT post_key, reason, raw_line FROM emotions.batch_requests"
                " WHERE batch_key = %s AND state = 'quarantined' ORDER BY 1",
                [batch_key],
            )
        ]

    def analysed(self, batch_key: str) -> Iterator[tuple[str, str, tuple[float, float, float]]]:
        """Analyses of a batch: post, dominant emotion, PAD."""
        for key, dominant, *pad in self._db.stream(
            "SELECT post_key, dominant_emotion, pleasure, arousal, dominance"
            " FROM emotions.analyses WHERE batch_key = %s ORDER BY 1",
            [batch_key],
        ):
            yield key, dominant, (pad[0], pad[1], pad[2])

    def preview(self, batch_key: str) -> list[tuple[str, str, str]]:
        """A few analyses: text, dominant and complex emotion."""
        return [
            (text, dominant, mixed)
            for text, dominant, mixed in self._db.fetch_all(
                "SELECT text, dominant_emotion, complex_emotion FROM emotions.analyses"
                " WHERE batch_key = %s ORDER BY post_key LIMIT 5",
                [batch_key],
            )
        ]

    def emotion_shares(self, batch_key: str) -> list[tuple[str, int]]:
        """Dominant emotion → posts, the most frequent first."""
        return [
            (name, count)
            for name, count in self._db.fetch_all(
                "SELECT dominant_emotion, count(*) FROM emotions.analyses"
                " WHERE batch_key = %s GROUP BY 1 ORDER BY 2 DESC, 1",
                [batch_key],
            )
        ]

    def pad_means(self, batch_key: str) -> tuple[float, float, float] | None:
        """Means of pleasure, arousal and dominance; None without analyses."""
        rows = self._db.fetch_all(
            "SELECT avg(pleasure), avg(arousal), avg(dominance) FROM emotions.analyses"
            " WHERE batch_key = %s",
            [batch_key],
        )
        pleasure, arousal, dominance = rows[0]
        return None if pleasure is None else (pleasure, arousal, dominance)

    def analysis_count(self, batch_key: str) -> int:
        """Analyses of a batch."""
        rows = self._db.fetch_all(
            "SELECT count(*) FROM emotions.analyses WHERE batch_key = %s", [batch_key]
        )
        return rows[0][0]

    def unfit_analyses(self, batch_key: str, tolerance: float) -> int:
        """Analyses that break a rule: a score or coordinate out of range, a dominant too low."""
        rows = self._db.fetch_all(
            """
            SELECT count(*) FROM emotions.analyses
            WHERE batch_key = %(batch)s AND NOT (
                least(joy, trust, fear, surprise, sadness, disgust, anger, anticipation) >= 0
                AND greatest(joy, trust, fear, surprise, sadness, disgust, anger, anticipation) <= 1
                AND least(pleasure, arousal, dominance) >= -1
                AND greatest(pleasure, arousal, dominance) <= 1
                AND CASE dominant_emotion WHEN '기쁨' THEN joy WHEN '신뢰' THEN trust
                    WHEN '공포' THEN fear WHEN '놀람' THEN surprise WHEN '슬픔' THEN sadness
                    WHEN '혐오' THEN disgust WHEN '분노' THEN anger WHEN '기대' THEN anticipation
                    END >= greatest(joy, trust, fear, surprise, sadness, disgust, anger,
                                    anticipation) - %(tolerance)s)
            """,
            {"batch": batch_key, "tolerance": tolerance + 1e-9},
        )
        return rows[0][0]

    def replace_history(
        self,
        transaction: PartitionTransaction,
        batch_key: str,
        mode: Mode,
        analysis_file: str,
    ) -> int:
        """Enter a batch's analyses in the history, in place of what it had there."""
        transaction.connection.execute(
            "DELETE FROM emotions.history WHERE batch_key = %s", [batch_key]
        )
        rows = transaction.connection.execute(
            "INSERT INTO emotions.history SELECT batch_key, post_key, post_id, comment_id,"
            " analysed_at, %s, model_used, dominant_emotion, %s, is_made_up"
            " FROM emotions.analyses WHERE batch_key = %s",
            [mode.value, analysis_file, batch_key],
        ).rowcount
        transaction.note_overwritten("emotions.history", ("batch_key", [batch_key]))
        return rows


def post_row(post: Post, *, is_made_up: bool) -> Mapping[str, object]:
    """A row of `emotions.posts`."""
    return {
        "post_date": post.post_date,
        "post_key": post.key,
        "post_id": post.post_id,
        "comment_id": post.comment_id,
        "kind": post.kind,
        "title": post.title,
        "content": post.content,
        "depth": post.depth,
        "views": post.views,
        "likes": post.likes,
        "is_made_up": is_made_up,
    }


def analysis_row(
    answer: EmotionAnswer,
    found: Sequence[Any],
    *,
    batch_key: str,
    model: str,
    prompt_version: str,
    analysed_at: datetime,
    is_made_up: bool,
) -> Mapping[str, object]:
    """A row of `emotions.analyses` from an answer and a row of `EmotionStore.answered`."""
    post_key, post_id, comment_id, post_date, kind, text, _ = found
    return {
        "batch_key": batch_key,
        "post_key": post_key,
        "post_id": post_id,
        "comment_id": comment_id,
        "post_date": post_date,
        "kind": kind,
        "text": text,
        "dominant_emotion": answer.dominant_emotion,
        "complex_emotion": answer.complex_emotion,
        **{name: getattr(answer.plutchik_emotions, name) for name in EMOTION_FIELDS},
        "pleasure": answer.pad.pleasure,
        "arousal": answer.pad.arousal,
        "dominance": answer.pad.dominance,
        "emotion_scores_reason": answer.rationale.emotion_scores,
        "pad_reason": answer.rationale.pad_analysis,
        "complex_emotion_reason": answer.rationale.complex_emotion_reasoning,
        "model_used": model,
        "prompt_version": prompt_version,
        "analysed_at": analysed_at,
        "is_made_up": is_made_up,
    }


def lately(now: datetime, days: int) -> datetime:
    """From when on an analysis keeps a post out of a batch."""
    return now - timedelta(days=days)

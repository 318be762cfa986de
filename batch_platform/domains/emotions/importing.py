"""What the old scripts analysed, brought in: their history and, where there are any, the results.

A post that the history holds is left out of new batches as one that was analysed here is: with the
same model, within EMOTIONS_SKIP_DAYS. A batch that still goes on at the provider is none of the
history's: its results are brought in when the old scripts have fetched them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from batch_platform.core.days import Clock
from batch_platform.core.personal_data import mask
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.import_store import (
    HISTORY_SCHEMA,
    IMPORTED_ANALYSES_SCHEMA,
    add_imported,
    days_and_kinds,
    entered,
)
from batch_platform.domains.emotions.models import EMOTIONS, EmotionAnswer, emotion_named
from batch_platform.domains.emotions.store import analysis_row
from batch_platform.gateways.import_book import (
    WRITTEN,
    BadRow,
    ImportedPartition,
    ImportPlan,
    PlannedPartition,
    note_imported,
)
from batch_platform.gateways.platform_db import PlatformDb, Spool
from batch_platform.gateways.table_files import FoundRow, as_json, as_number, as_text, as_time

SYSTEM = "emotions"
ASSET = WRITTEN[SYSTEM]
_ANALYSES = "emotions/analyses"
_MISSING = {"", "NA", "NaN", "NULL", "None", "0"}
"""What R, Excel and a database write where there is no comment."""

_IN_FLIGHT = "제공자에서 아직 진행 중인 배치 (예전 스크립트로 받은 뒤 가져오세요)"
_ENDED_BADLY = "실패했거나 취소된 배치"
_OPEN_STATES = {"PENDING", "RUNNING", "QUEUED"}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_DECIMALS = re.compile(r"^(\d+)\.0+$")
_TOLD_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of the old history."""

    place: str
    key: str
    post_id: str
    comment_id: str | None
    analysed_at: datetime
    kind: str
    model: str
    dominant_emotion: str
    file: str


class EmotionImport:
    """Brings the old history in; see `import_book.Importer`.

    Args:
        rows: Of the history, of result files and of the batches' states, in any order.
        db: The platform's database.
        settings: The emotions' settings.
        clock: The time.
        wanted: Tells whether a day (of the analysis) is wanted.
    """

    def __init__(
        self,
        rows: Iterable[FoundRow],
        *,
        db: PlatformDb,
        settings: Settings,
        clock: Clock,
        wanted: Callable[[date], bool] = lambda _: True,
    ) -> None:
        self._rows = rows
        self._db = db
        self._settings = settings
        self._clock = clock
        self._wanted = wanted
        self._batches: dict[str, dict[str, _Entry]] = {}
        self._answers: dict[str, tuple[str, EmotionAnswer, Mapping[str, Any]]] = {}

    def plan(self, progress: ProgressReport = unheard) -> ImportPlan:
        """Read everything; results of posts that the history does not hold are bad rows."""
        plan = ImportPlan()
        for number, row in enumerate(self._rows, 1):
            if number % _TOLD_EVERY == 0:
                progress(number, None)
            try:
                self._read(row, plan)
            except ValueError as error:
                plan.bad_rows.append(BadRow(row.place, str(error)))
        known = {key for entries in self._batches.values() for key in entries}
        plan.bad_rows += [
            BadRow(place, "이력(history)에 없는 글의 결과입니다")
            for key, (place, _, _) in self._answers.items()
            if key not in known
        ]
        for batch_key, entries in sorted(self._batches.items()):
            new = entries.keys() - entered(self._db, batch_key)
            scored = len(new & self._answers.keys())
            plan.partitions.append(
                PlannedPartition(
                    batch_key, len(new), len(entries) - len(new), None, f"점수 {scored:,}건"
                )
            )
        return plan

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Enter a batch's analyses that are not in the history, with their scores."""
        entries = self._batches[partition]
        with (
            self._db.hold(ASSET, partition, holder=holder),
            Spool(HISTORY_SCHEMA) as history,
            Spool(IMPORTED_ANALYSES_SCHEMA) as analyses,
        ):
            new = sorted(entries.keys() - entered(self._db, partition))
            posts = days_and_kinds(self._db, new)
            for key in new:
                entry = entries[key]
                history.add(self._history_row(partition, entry, import_id))
                if key in self._answers:
                    row = self._analysis_row(partition, entry, posts.get(key))
                    analyses.add({**row, "import_id": import_id})
            written = [ImportedPartition(ASSET, partition, history.rows)]
            if analyses.rows:
                written.append(ImportedPartition(_ANALYSES, partition, analyses.rows))
            with self._db.replacing(ASSET, partition) as transaction:
                add_imported(transaction, partition, history.batches(), analyses.batches())
                note_imported(transaction.connection, import_id, written)
        return written

    def _read(self, row: FoundRow, plan: ImportPlan) -> None:
        if row.problem:
            raise ValueError(row.problem)
        values = row.values
        if "analysis_date" in values:
            self._read_entry(row)
        elif "PAD" in values or "plutchik_emotions" in values or EMOTIONS[0] in values:
            key, *_ = _post_key(values)
            self._answers[key] = (row.place, _answer(values), values)
        elif "state" in values:
            state = as_text(values["state"]).upper().removeprefix("JOB_STATE_")
            if state in _OPEN_STATES:
                _count(plan, _IN_FLIGHT)
            elif state != "SUCCEEDED":
                _count(plan, _ENDED_BADLY)
        else:
            raise ValueError("이력도 결과도 배치 상태도 아닌 행입니다")

    def _read_entry(self, row: FoundRow) -> None:
        values, zone = row.values, self._settings.platform.zone
        analysed_at = as_time(values["analysis_date"], zone)
        if not self._wanted(analysed_at.astimezone(zone).date()):
            return
        if analysed_at > self._clock():
            raise ValueError("analysis_date가 앞날입니다")
        key, post_id, comment_id = _post_key(values)
        said = as_text(values.get("id")).strip()
        if said and said != key:
            raise ValueError(f"id가 post_id와 comment_id로 만든 {key}이(가) 아닙니다")
        model = as_text(values.get("model_used")).strip()
        if not model:
            raise ValueError("model_used가 비어 있습니다")
        dominant = emotion_named(as_text(values.get("dominant_emotion")).strip())
        if dominant not in EMOTIONS:
            raise ValueError("dominant_emotion이 여덟 감정 가운데 하나가 아닙니다")
        kind = as_text(values.get("analysis_type")).strip() or "unknown"
        day = analysed_at.astimezone(zone)
        name = f"imported-{kind}-{day:%Y%m%d}-{model}"
        batch_key = _NOT_IN_A_NAME.sub("-", name)
        entry = _Entry(
            row.place,
            key,
            post_id,
            comment_id,
            analysed_at,
            kind,
            model,
            str(dominant),
            as_text(values.get("analysis_file")),
        )
        entries = self._batches.setdefault(batch_key, {})
        # Analysed twice that day: the later one counts, as in the old history.
        before = entries.get(key)
        if before is None or before.analysed_at <= analysed_at:
            entries[key] = entry

    def _history_row(self, batch_key: str, entry: _Entry, import_id: int) -> Mapping[str, Any]:
        return {
            "batch_key": batch_key,
            "id": entry.key,
            "post_id": entry.post_id,
            "comment_id": entry.comment_id,
            "analysis_date": entry.analysed_at,
            "analysis_type": entry.kind,
            "model_used": entry.model,
            "dominant_emotion": entry.dominant_emotion,
            "analysis_file": entry.file,
            "is_made_up": self._settings.is_made_up,
            "import_id": import_id,
        }

    def _analysis_row(
        self, batch_key: str, entry: _Entry, post: tuple[object, str, str] | None
    ) -> Mapping[str, object]:
        _, answer, values = self._answers[entry.key]
        said = " ".join(as_text(values.get(name)) for name in ("title", "content")).strip()
        local = entry.analysed_at.astimezone(self._settings.platform.zone).date()
        day, kind, text = post or (local, as_text(values.get("구분")) or "post", said)
        found = (entry.key, entry.post_id, entry.comment_id, day, kind, mask(text).text, None)
        return analysis_row(
            answer,
            found,
            batch_key=batch_key,
            model=entry.model,
            prompt_version="imported",
            analysed_at=entry.analysed_at,
            is_made_up=self._settings.is_made_up,
        )


def _post_key(values: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """The post's name in the history, its number, and its comment's."""
    post_id, comment_id = (_number(values.get(name)) for name in ("post_id", "comment_id"))
    if post_id in _MISSING:
        raise ValueError("post_id가 비어 있습니다")
    comment = None if comment_id in _MISSING else comment_id
    return f"{post_id}_{comment or 0}", post_id, comment


def _number(value: object) -> str:
    """A number as it was before R or Excel put decimals to it."""
    return _DECIMALS.sub(r"\1", as_text(value).strip())


def _answer(values: Mapping[str, Any]) -> EmotionAnswer:
    """An answer: nested as the model gave it, or a column a score."""
    if "plutchik_emotions" in values:
        names = ("plutchik_emotions", "PAD", "rationale")
        nested = {name: as_json(values.get(name)) for name in names}
    else:
        nested = {
            "plutchik_emotions": {name: _score(values, name) for name in EMOTIONS},
            "PAD": {name: _score(values, name) for name in ("P", "A", "D")},
            "rationale": {
                name: as_text(values.get(name)).strip() or "-"
                for name in ("emotion_scores", "PAD_analysis", "complex_emotion_reasoning")
            },
        }
    flat = {name: values.get(name) for name in ("dominant_emotion", "complex_emotion")}
    try:
        return EmotionAnswer.model_validate({**nested, **flat})
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "결과"
        raise ValueError(f"{where}이(가) 있어야 할 값이 아닙니다") from None


def _score(values: Mapping[str, Any], name: str) -> float:
    try:
        return as_number(values.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _count(plan: ImportPlan, reason: str) -> None:
    plan.undone[reason] = plan.undone.get(reason, 0) + 1

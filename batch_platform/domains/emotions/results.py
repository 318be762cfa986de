"""The files of a batch's analyses: CSV for Excel, Parquet for programs, beside the table."""

import csv
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from batch_platform.domains.emotions.models import EMOTION_FIELDS, EMOTIONS
from batch_platform.domains.emotions.store import ANALYSES_SCHEMA
from batch_platform.gateways.files import atomic_file

_SETTING = "EMOTIONS_FOLDER"
_NAMES = {
    "batch_key": "배치",
    "post_key": "글",
    "post_id": "게시글 번호",
    "comment_id": "댓글 번호",
    "post_date": "날짜",
    "kind": "구분",
    "text": "내용",
    "dominant_emotion": "주 감정",
    "complex_emotion": "복합 감정",
    **dict(zip(EMOTION_FIELDS, EMOTIONS, strict=True)),
    "pleasure": "P",
    "arousal": "A",
    "dominance": "D",
    "emotion_scores_reason": "점수의 까닭",
    "pad_reason": "PAD의 까닭",
    "complex_emotion_reason": "복합 감정의 까닭",
    "model_used": "모델",
    "prompt_version": "프롬프트",
    "analysed_at": "분석 시각 (UTC)",
    "is_made_up": "가상",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Where the files are."""

    csv: Path
    parquet: Path


def result_files(folder: Path, key: str) -> ResultFiles:
    """Where the files of a batch are, or will be."""
    return ResultFiles(folder / f"{key}.csv", folder / f"{key}.parquet")


@contextmanager
def writing(files: ResultFiles) -> Generator["ResultWriter"]:
    """Write both files; they are there when the block ends well, else what was there stays.

    Raises:
        ConfigurationError: The folder cannot be made or written to.
        RetryableError: The disk is full.
    """
    with (
        atomic_file(files.csv, setting=_SETTING) as csv_path,
        atomic_file(files.parquet, setting=_SETTING) as parquet_path,
        csv_path.open("w", encoding="utf-8-sig", newline="") as csv_file,
        parquet.ParquetWriter(parquet_path, ANALYSES_SCHEMA) as parquet_writer,
    ):
        yield ResultWriter(csv_file, parquet_writer)


class ResultWriter:
    """Writes rows into both files as they pass."""

    def __init__(self, csv_file: Any, parquet_writer: parquet.ParquetWriter) -> None:
        self._csv = csv.writer(csv_file)
        self._parquet = parquet_writer
        self._csv.writerow([_NAMES[name] for name in ANALYSES_SCHEMA.names])

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hand the batches on and write them."""
        for batch in batches:
            self._parquet.write_batch(batch)
            for row in batch.to_pylist():
                self._csv.writerow([_cell(value) for value in row.values()])
            yield batch


def _cell(value: object) -> object:
    """A cell that Excel does not take for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value

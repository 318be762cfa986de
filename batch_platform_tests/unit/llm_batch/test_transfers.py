"""What is tried again, how long is waited, and when it is given up."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch_platform.core.errors import ConfigurationError, PermanentError, RetryableError
from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm_batch.opening import open_batch_client
from batch_platform.gateways.llm_batch.transfers import Patience, fetched


def failing(times: int, error: Exception, waited: list[float]) -> str:
    left = [error] * times

    def piece() -> str:
        if left:
            raise left.pop()
        return "sent"

    return Patience(attempts=4, sleep=waited.append).repeated(piece)


def test_a_piece_is_tried_again_after_ever_longer_pauses() -> None:
    waited: list[float] = []
    assert failing(3, RetryableError("broke"), waited) == "sent"
    assert waited == [0.2, 0.4, 0.8]


def test_the_delay_that_is_asked_for_is_kept() -> None:
    waited: list[float] = []
    assert failing(1, RetryableError("slow down", retry_after_seconds=7.0), waited) == "sent"
    assert waited == [7.0]


@pytest.mark.parametrize(
    ("times", "error", "waits"),
    [
        (4, RetryableError("broke"), 3),
        (1, RetryableError("come back", retry_after_seconds=3600.0), 0),
        (1, PermanentError("never"), 0),
    ],
)
def test_it_is_given_up(times: int, error: Exception, waits: int) -> None:
    waited: list[float] = []
    with pytest.raises(type(error), match=error.args[0]):
        failing(times, error, waited)
    assert len(waited) == waits


@dataclass
class Source:
    """A file elsewhere that breaks off after so many bytes each time."""

    content: bytes
    piece: int

    def __post_init__(self) -> None:
        self.status_code = 200
        self.headers: Mapping[str, str] = {}
        self._start = 0
        self.asked: list[str] = []

    @contextmanager
    def opened(self, headers: Mapping[str, str]) -> Iterator["Source"]:
        said = headers.get("Range", "bytes=0-")
        self.asked.append(said)
        self._start = int(said.removeprefix("bytes=").rstrip("-"))
        whole = len(self.content)
        if self._start == whole:
            self.status_code, self.headers = 416, {"content-range": f"bytes */{whole}"}
        elif self._start:
            self.status_code = 206
            self.headers = {"content-range": f"bytes {self._start}-{whole - 1}/{whole}"}
        else:
            self.headers = {"content-length": str(whole)}
        yield self

    def iter_bytes(self) -> Iterator[bytes]:
        yield self.content[self._start : self._start + self.piece]
        if self._start + self.piece < len(self.content):
            raise RetryableError("broke")


def test_a_download_goes_on_as_long_as_something_comes(tmp_path: Path) -> None:
    source = Source(b"0123456789" * 5, 5)
    file = fetched("files/a", tmp_path, source.opened, Patience(attempts=2, sleep=lambda _: None))
    assert file.read_bytes() == source.content
    assert len(source.asked) == 10
    assert [each.name for each in tmp_path.iterdir()] == ["files_a.jsonl"]


def test_a_download_that_brings_nothing_is_given_up(tmp_path: Path) -> None:
    source = Source(b"0123456789", 0)
    with pytest.raises(RetryableError, match="broke"):
        fetched("a", tmp_path, source.opened, Patience(attempts=3, sleep=lambda _: None))
    assert len(source.asked) == 3


def test_what_was_whole_when_the_process_was_killed_is_taken(tmp_path: Path) -> None:
    source = Source(b"0123456789", 10)
    (tmp_path / "a.part").write_bytes(source.content)
    file = fetched("a", tmp_path, source.opened, Patience(sleep=lambda _: None))
    assert file.read_bytes() == source.content


def test_what_is_longer_than_the_providers_file_is_fetched_afresh(tmp_path: Path) -> None:
    source = Source(b"0123456789", 10)
    (tmp_path / "a.part").write_bytes(source.content + b"x")

    @contextmanager
    def opened(headers: Mapping[str, str]) -> Iterator[Source]:
        with source.opened(headers) as body:
            if body._start > len(source.content):
                body.status_code, body.headers = 416, {"content-range": "bytes */10"}
            elif not body._start:
                body.status_code = 200
            yield body

    file = fetched("a", tmp_path, opened, Patience(sleep=lambda _: None))
    assert file.read_bytes() == source.content


def test_a_body_that_ends_early_without_an_error_is_not_taken_for_whole(tmp_path: Path) -> None:
    source = Source(b"0123456789", 10)

    @contextmanager
    def opened(headers: Mapping[str, str]) -> Iterator[Source]:
        with source.opened(headers) as body:
            if len(source.asked) == 1:
                body.headers = {"content-length": "20"}
                source.content += b"0123456789"
            yield body

    file = fetched("a", tmp_path, opened, Patience(sleep=lambda _: None))
    assert file.read_bytes() == b"0123456789" * 2


def test_a_provider_without_batches_is_refused() -> None:
    provider = choose_provider(ModelSettings(LLM_PROVIDER="hyperclova", HCX_CHAT_API_KEY="k"))
    with pytest.raises(ConfigurationError, match="no batch endpoint"):
        open_batch_client(provider, is_made_up=True)

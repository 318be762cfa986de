"""Emotion analyses: writing a batch's files, reading its results, and a whole batch.

    python -m benchmarks.emotions                       # 17,336 made-up posts, about half a minute
    python -m benchmarks.emotions --posts reviews.csv   # real ones: a CSV with a column of texts
    python -m benchmarks.emotions --small

Per provider, on one core: posts become the lines that the domain sends, in files of at most 10,000
(the disk's flush included); a results file of as many made-up analyses becomes validated answers.
Making the results is not measured. The peak of memory is the whole process's. Then a whole batch
runs end to end in a process of its own (`benchmarks.emotions_full`), half a minute more.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from batch_platform.core.settings import ModelSettings
from batch_platform.domains.emotions.models import EmotionAnswer
from batch_platform.domains.emotions.prompts import MAX_OUTPUT_TOKENS, analysis_task, as_asked
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm_batch import gemini_batches, openai_batches
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.jsonl import lines_of, write_chunks
from batch_platform.gateways.llm_batch.models import BatchRequest, Chunk
from batch_platform.gateways.llm_batch.opening import open_batch_client
from batch_platform.sandbox.batch_book import WireForm
from batch_platform.sandbox.batch_gemini import GeminiForm
from batch_platform.sandbox.batch_openai import OpenAIForm
from batch_platform.sandbox.chat_calls import Answerers
from batch_platform.sandbox.made_up_emotions import settled
from benchmarks.figures import report

POSTS = 17_336
MAX_REQUESTS = 10_000
MAX_BYTES = 2_000_000_000
ROUNDS = 3
LEAST_LINES_PER_SECOND = 20_000
MOST_MEGABYTES = 400

FORMS: dict[str, WireForm] = {"openai": OpenAIForm(), "gemini": GeminiForm()}
READERS = {"openai": openai_batches.read_line, "gemini": gemini_batches.read_line}


def made_up_posts(count: int) -> list[str]:
    """Texts of about the length of a review: 45 characters on average."""
    piece = "연기도 음악도 화면도 다 좋은데 결말이 조금 아쉽네요 다시 보고 싶은 영화 "
    return [f"{number} {piece * (1 + number % 3)}"[: 20 + number % 60] for number in range(count)]


def given_posts(file: Path, column: str) -> list[str]:
    """The texts of a CSV."""
    with file.open(encoding="utf-8", newline="") as rows:
        return [row[column] for row in csv.DictReader(rows)]


def client_of(provider: str) -> BatchClient:
    """A client that is never asked to send anything."""
    settings = ModelSettings(
        LLM_PROVIDER=provider, OPENAI_API_KEY=SecretStr("k"), GEMINI_API_KEY=SecretStr("k")
    )
    return open_batch_client(choose_provider(settings), is_made_up=True)


def requests(posts: Sequence[str]) -> Iterator[BatchRequest]:
    """The lines as the domain asks for them."""
    instructions = analysis_task().instructions
    for number, text in enumerate(posts):
        yield BatchRequest(
            f"{number}_0", instructions, as_asked(text), EmotionAnswer, MAX_OUTPUT_TOKENS
        )


def building(posts: Sequence[str], client: BatchClient, folder: Path) -> tuple[list[Chunk], float]:
    """Write the files; gives them and the seconds it took, the best of some rounds."""
    best, chunks = float("inf"), list[Chunk]()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        chunks = write_chunks(requests(posts), client, folder, MAX_REQUESTS, MAX_BYTES)
        best = min(best, time.perf_counter() - started)
    return chunks, best


def make_results(chunks: Sequence[Chunk], form: WireForm, model: str, file: Path) -> None:
    """Write made-up answers to all lines."""
    answerers = Answerers()
    with file.open("wb") as output:
        number = 0
        for chunk in chunks:
            with chunk.file.open("rb") as lines:
                for line in lines:
                    number += 1
                    asked = form.read(line, model)
                    if asked.call is None:
                        raise ValueError(f"the sandbox cannot read a line: {asked.problem}")
                    answer = settled(answerers.of(asked.call).one(asked.call.items[0]))
                    text = json.dumps(answer, ensure_ascii=False)
                    said = json.dumps(form.answered(asked, text, number), ensure_ascii=False)
                    output.write(said.encode() + b"\n")


def parsing(file: Path, provider: str, count: int) -> tuple[float, float]:
    """Seconds to read the lines, and to read and validate them; the best of some rounds."""
    read, validated = float("inf"), float("inf")
    lines = partial(lines_of, [file], READERS[provider])
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = sum(line.content is not None for line in lines())
        read = min(read, time.perf_counter() - started)
        started = time.perf_counter()
        whole = {
            line.custom_id
            for line in lines()
            if EmotionAnswer.model_validate_json(line.content or "")
        }
        validated = min(validated, time.perf_counter() - started)
        if found != count or len(whole) != count:
            raise ValueError(f"{found} and {len(whole)} of {count} lines were read")
    return read, validated


def peak_megabytes() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1024


def full_batch(posts: Path | None, *, is_small: bool) -> dict[str, dict[str, object]]:
    """The figures of a whole batch, whose memory is not mixed with this process's."""
    options = [*(["--posts", str(posts)] if posts else []), *(["--small"] if is_small else [])]
    command = [sys.executable, "-m", "benchmarks.emotions_full", *options]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    *lines, figures = said.strip().splitlines()
    print("\n".join(lines))
    return json.loads(figures)["figures"]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=Path, help="CSV of real posts")
    parser.add_argument("--column", default="review", help="its column of texts")
    parser.add_argument("--small", action="store_true", help="2,000 posts")
    given = parser.parse_args()
    posts = given_posts(given.posts, given.column) if given.posts else made_up_posts(POSTS)
    posts = [text for text in posts if text.strip()][: 2_000 if given.small else None]
    figures: dict[str, dict[str, object]] = {}
    print(f"{len(posts):,} posts")
    for provider, form in FORMS.items():
        with tempfile.TemporaryDirectory() as name, closing(client_of(provider)) as client:
            folder = Path(name)
            chunks, built = building(posts, client, folder)
            results = folder / "results.jsonl"
            make_results(chunks, form, client.model, results)
            read, validated = parsing(results, provider, len(posts))
            sent = sum(chunk.bytes for chunk in chunks)
            print(
                f"{provider}: {len(chunks)} files, {sent / 1e6:.1f} MB;"
                f" results {results.stat().st_size / 1e6:.1f} MB"
            )
        for what, seconds in (("build", built), ("read", read), ("parse", validated)):
            rate = round(len(posts) / seconds)
            print(f"  {what}: {rate:,} lines/s")
            figures[f"emotions_{provider}_{what}_lines_per_second"] = {
                "value": rate,
                "aim": LEAST_LINES_PER_SECOND,
                "better": "higher",
            }
    figures["emotions_peak_megabytes"] = {
        "value": round(peak_megabytes()),
        "aim": MOST_MEGABYTES,
        "better": "lower",
    }
    report(figures | full_batch(given.posts, is_small=given.small))


if __name__ == "__main__":
    main()

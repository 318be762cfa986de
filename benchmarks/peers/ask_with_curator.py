"""bespokelabs-curator: its own requests on aiohttp, its own cache of them on disk.

Its limits are set where they do not bind, as ours are.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["OPENAI_API_KEY"] = "sandbox"
os.environ["TELEMETRY_ENABLED"] = "false"
# litellm, which curator brings, carries the token table that would be fetched from the network.
os.environ["TIKTOKEN_CACHE_DIR"] = str(
    Path(find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"
)

from bespokelabs import curator
from job import Answers, Job, read_job, stopwatch, tell

_REQUESTS_NOT_BINDING = 60_000
_TOKENS_NOT_BINDING = 10**9


class _Asker(curator.LLM):
    def prompt(self, row: dict) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": row["instructions"]},
            {"role": "user", "content": row["message"]},
        ]

    def parse(self, _row: dict, response: Answers) -> dict:
        return {"answers": response.model_dump_json()}


def _main(job: Job) -> None:
    asker = _Asker(
        model_name=job.model,
        response_format=Answers,
        backend="openai",
        backend_params={
            "base_url": job.base_url,
            "max_concurrent_requests": job.in_flight,
            "max_requests_per_minute": _REQUESTS_NOT_BINDING,
            "max_tokens_per_minute": _TOKENS_NOT_BINDING,
        },
    )
    rows = [{"instructions": job.instructions, "message": message} for message in job.messages]
    with tempfile.TemporaryDirectory() as folder:
        asker(rows[:1], working_dir=f"{folder}/first")
        with stopwatch() as spent:
            response = asker(rows, working_dir=f"{folder}/all")
        tell(spent, [Answers.model_validate_json(row["answers"]) for row in response.dataset])


if __name__ == "__main__":
    _main(read_job())

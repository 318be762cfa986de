"""litellm: `acompletion` with a semaphore."""

import asyncio
import os

# Its price table would be fetched from the network when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from job import Answers, Job, ask_all, read_job


async def _main(job: Job) -> None:
    litellm.telemetry = False

    async def ask(message: str) -> Answers:
        completion = await litellm.acompletion(
            model=f"openai/{job.model}",
            api_key="sandbox",
            api_base=job.base_url,
            messages=job.chat(message),
            response_format=job.response_format,
        )
        return Answers.model_validate_json(completion.choices[0].message.content)

    await ask_all(job, ask)


if __name__ == "__main__":
    asyncio.run(_main(read_job()))

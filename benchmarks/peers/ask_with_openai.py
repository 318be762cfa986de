"""The plain `openai` package on aiohttp, with a semaphore: the shortest fast program."""

import asyncio

from job import Answers, Job, ask_all, read_job
from openai import AsyncOpenAI, DefaultAioHttpClient


async def _main(job: Job) -> None:
    async with AsyncOpenAI(
        api_key="sandbox", base_url=job.base_url, http_client=DefaultAioHttpClient()
    ) as client:

        async def ask(message: str) -> Answers:
            completion = await client.chat.completions.create(
                model=job.model,
                messages=job.chat(message),
                response_format=job.response_format,
            )
            return Answers.model_validate_json(completion.choices[0].message.content)

        await ask_all(job, ask)


if __name__ == "__main__":
    asyncio.run(_main(read_job()))

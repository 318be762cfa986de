"""instructor over `openai` on aiohttp, in its JSON schema mode, with a semaphore."""

import asyncio

import instructor
from job import Answers, Job, ask_all, read_job
from openai import AsyncOpenAI, DefaultAioHttpClient


async def _main(job: Job) -> None:
    async with AsyncOpenAI(
        api_key="sandbox", base_url=job.base_url, http_client=DefaultAioHttpClient()
    ) as bare:
        client = instructor.from_openai(bare, mode=instructor.Mode.JSON_SCHEMA)

        async def ask(message: str) -> Answers:
            return await client.chat.completions.create(
                model=job.model, messages=job.chat(message), response_model=Answers
            )

        await ask_all(job, ask)


if __name__ == "__main__":
    asyncio.run(_main(read_job()))

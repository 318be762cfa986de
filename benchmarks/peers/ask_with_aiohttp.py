"""aiohttp and nothing on it: what server and machine allow. No client for a night's work."""

import asyncio

import aiohttp
from job import Answers, Job, ask_all, read_job


async def _main(job: Job) -> None:
    connector = aiohttp.TCPConnector(limit=job.in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(message: str) -> Answers:
            body = {
                "model": job.model,
                "messages": job.chat(message),
                "response_format": job.response_format,
            }
            async with session.post(f"{job.base_url}/chat/completions", json=body) as response:
                completion = await response.json()
            return Answers.model_validate_json(completion["choices"][0]["message"]["content"])

        await ask_all(job, ask)


if __name__ == "__main__":
    asyncio.run(_main(read_job()))

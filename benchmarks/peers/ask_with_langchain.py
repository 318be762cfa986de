"""langchain-openai: `batch` of a model with structured output, its own threads."""

from job import Answers, Job, read_job, stopwatch, tell
from langchain_openai import ChatOpenAI


def _main(job: Job) -> None:
    model = ChatOpenAI(model=job.model, base_url=job.base_url, api_key="sandbox")
    chain = model.with_structured_output(Answers, method="json_schema")
    chats = [job.chat(message) for message in job.messages]
    chain.batch(chats[:1])
    with stopwatch() as spent:
        answers = chain.batch(chats, config={"max_concurrency": job.in_flight})
    tell(spent, answers)


if __name__ == "__main__":
    _main(read_job())

"""A process that asks, for tests that kill one or run several. Run by `subprocess`, not a test.

Arguments: database URL, model server's URL, items, workers, requests a minute or 0, first item.
"""

import sys

from batch_platform.gateways.llm import Answered, open_bulk_llm
from batch_platform_tests.integration.llm.asking import classify, model_settings, questions


def main() -> None:
    database_url, server_url, *numbers = sys.argv[1:]
    count, workers, per_minute, start = map(int, numbers)
    limit = {"LLM_MAX_REQUESTS_PER_MINUTE": per_minute} if per_minute else {}
    llm = open_bulk_llm(model_settings(server_url, **limit), database_url, is_made_up=True)
    ask = llm.ask(classify(), questions(count, start), workers=workers, partition="p")
    answered = sum(isinstance(outcome, Answered) for outcome in ask)
    sys.stdout.write(f"{answered} {ask.summary.calls} {ask.summary.refusals}\n")


if __name__ == "__main__":
    main()

"""`BatchedCalls`: the ledger's side of calls that a provider's batch makes, hours later, cheaper.

A text has the same key whether it is asked at once or in a batch, so neither pays for what the
other has asked. How a batch is sent and fetched is `gateways.llm_batch`' business.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Generic, Self
from zoneinfo import ZoneInfo

from batch_platform.core.errors import BudgetExceededError
from batch_platform.gateways.llm.database import Session, value_of
from batch_platform.gateways.llm.engine import estimated_tokens
from batch_platform.gateways.llm.ledger import Keys, Ledger, Provenance, Record, prepared
from batch_platform.gateways.llm.models import A, Task
from batch_platform.gateways.llm.prices import UNKNOWN, Price
from batch_platform.gateways.llm.structured import Accepted, AnswerForm, Problem


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text as it is asked, and where its answer is in the ledger.

    Attributes:
        masked: Kind of personal data → pieces masked.
    """

    key: bytes
    text: str
    masked: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BatchedResult:
    """What came of one text of a batch.

    Attributes:
        item_id: Names it in the quarantine.
        call_id: Names the answer at the provider: the job and the line. What is recorded under it
            once is not recorded again.
        output: The answer's canonical JSON; None when there is none that can be used.
        error: Why there is none; None for an answer.
        is_set_aside: Whether nobody is going to ask again.
    """

    key: bytes
    item_id: str
    call_id: str
    output: str | None
    error: str | None
    input_tokens: int
    output_tokens: int
    is_set_aside: bool = False


class BatchedCalls(Generic[A]):
    """What the ledger knows of one task's calls by batch; made by `BulkLlm.batched`.

    A context manager: its connection is closed when it is left.
    """

    def __init__(
        self,
        task: Task[A],
        form: AnswerForm[A],
        provenance: Provenance,
        price: Price,
        price_share: float,
        *,
        database_url: str,
        daily_budget_krw: float | None,
        zone: ZoneInfo,
    ) -> None:
        self._task = task
        self._form = form
        self._keys = Keys(provenance)
        self._overhead_bytes = len(task.instructions.encode()) + len(
            json.dumps(task.answer.model_json_schema(), ensure_ascii=False).encode()
        )
        self._price = price
        self._price_share = price_share
        self._daily_budget_krw = daily_budget_krw
        self._zone = zone
        self._session = Session(database_url, "llm batch ledger")
        table = price.table if price.table == UNKNOWN else f"{price.table} × {price_share:g}"
        self._ledger = Ledger(self._session, provenance, table, owner=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def open_partition(self) -> None:
        """Note that the partition uses the ledger from now on, and forget its last quarantine."""
        self._ledger.open_partition()

    def prepare(self, text: str) -> PreparedText:
        """Bring a text into the form in which it is asked and keyed: without personal data."""
        masked = prepared(text)
        return PreparedText(self._keys.key(masked.text), masked.text, masked.counts)

    def known(self, keys: Collection[bytes]) -> dict[bytes, A]:
        """Answers that the ledger holds, whoever asked; notes that this partition uses them."""
        answers: dict[bytes, A] = {}
        for key, output in self._ledger.peek(keys).items():
            answer = self._form.from_ledger("", output)
            if answer is not None:
                answers[key] = answer
        if answers:
            self._ledger.note_use(answers.keys())
        return answers

    def read(self, content: str, text: str) -> Accepted[A] | Problem:
        """Judge what a model answered about one text, mending what is nearly right."""
        return self._form.read_alone(content, text)

    def krw(self, input_tokens: int, output_tokens: int) -> float:
        """Won of a call by batch."""
        return self._price.krw(input_tokens, output_tokens) * self._price_share

    def direct_krw(self, input_tokens: int, output_tokens: int) -> float:
        """Won of the same call at once."""
        return self._price.krw(input_tokens, output_tokens)

    def line_bytes(self, text: str) -> int:
        """About how many bytes a request about a text has: instructions, form and text."""
        return self._overhead_bytes + len(text.encode())

    def tokens_of(self, byte_count: int, lines: int) -> tuple[int, int]:
        """Input and output tokens to expect of request lines, by their size."""
        if not lines:
            return 0, 0
        return estimated_tokens(byte_count), lines * self._task.typical_output_tokens

    def require_budget(self, expected_krw: float, now: datetime) -> None:
        """Refuse what would pass the day's budget of the domain.

        Args:
            expected_krw: Of what is going to be asked and of what is asked and not yet charged.
            now: The day whose budget counts.

        Raises:
            BudgetExceededError: It would.
        """
        if self._daily_budget_krw is None:
            return
        day = now.astimezone(self._zone).date()
        spent = self._session.run(
            lambda connection: value_of(
                connection,
                "SELECT spent_krw FROM llm.spending WHERE domain = %s AND spent_on = %s",
                (self._task.domain, day),
            )
        )
        if (spent or 0.0) + expected_krw > self._daily_budget_krw:
            raise BudgetExceededError(
                f"The batch would cost about {expected_krw:,.0f} won and pass the day's budget of"
                f" {self._daily_budget_krw:,.0f}",
                "Take fewer posts, run it tomorrow, or raise LLM_DAILY_BUDGET_KRW",
            )

    def record(self, results: Sequence[BatchedResult], now: datetime) -> float:
        """Commit results and what they cost. What was recorded before counts once.

        Args:
            results: At most one a key.
            now: The day whose budget is charged.

        Returns:
            Won of all of these results, also of those that were recorded before.
        """
        fresh = self._not_recorded(results)
        records = [self._as_record(each) for each in fresh]
        cost = sum(self.krw(each.input_tokens, each.output_tokens) for each in results)
        if fresh:
            self._ledger.record(
                records,
                [(each.item_id, each.error or "", each.key) for each in fresh if each.is_set_aside],
                now.astimezone(self._zone).date(),
                sum(record.cost_krw for record in records),
            )
        return cost

    def _as_record(self, result: BatchedResult) -> Record:
        tokens = (result.input_tokens, result.output_tokens)
        return Record(
            key=result.key,
            output=result.output,
            error=result.error,
            call_id=result.call_id,
            input_tokens=result.input_tokens,
            output_tokens=result.output_tokens,
            cost_krw=self.krw(*tokens),
            cost_usd=self._price.usd(*tokens) * self._price_share,
            latency_seconds=0.0,
            attempts=1,
            masked={},
        )

    def _not_recorded(self, results: Iterable[BatchedResult]) -> list[BatchedResult]:
        by_key = {each.key: each for each in results}
        rows = self._session.run(
            lambda connection: connection.execute(
                "SELECT key, call_id FROM llm.calls WHERE key = ANY(%s)",
                (list(by_key),),
                binary=True,
            ).fetchall()
        )
        recorded = {bytes(key) for key, call_id in rows if by_key[bytes(key)].call_id == call_id}
        return [each for key, each in by_key.items() if key not in recorded]

"""A model server that is none: speaks chat completions, answers by rule, misbehaves when asked to.

For `make demo`, tests and benchmarks. Every answer carries the header `x-sandbox: made-up` and
the system fingerprint `sandbox-made-up`. It listens on the loopback interface only.

As a process of its own: `python -m batch_platform.sandbox.model_server --port 0 --delay 0.2`;
from Python: `with running_model_server(delay=0.2) as server: server.url`. Options, faults and
limits can be changed while it runs, at `/sandbox/configure`; what it saw is at `/sandbox/stats`.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import uvloop
from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from batch_platform.sandbox import chat_calls, loopback
from batch_platform.sandbox.chat_calls import BadCallError, ChatCall
from batch_platform.sandbox.faults import (
    RATE_FAULTS,
    ErrorResponse,
    Fault,
    FaultPlan,
    error_response,
    openai_error,
    spoiled_answers,
    spoiled_text,
)
from batch_platform.sandbox.limits import Limiter, LimiterKind, limiter
from batch_platform.sandbox.made_up_answers import Item, text_digest
from batch_platform.sandbox.temptations import tempted

_LARGEST_BODY_BYTES = 64 * 2**20
_MODELS = ("HCX-005", "gpt-4.1-mini", "gemini-2.5-flash", "sandbox-1")
_MADE_UP = {"x-sandbox": "made-up"}
_JSON = "application/json"
_STRANGER_TEXT = "이 글은 아무도 묻지 않았습니다. 다른 질문의 답이 섞였는지 알아보는 데 씁니다."
_STRANGER = Item(
    _STRANGER_TEXT,
    {"id": "stranger", "head": _STRANGER_TEXT[:8], "text": _STRANGER_TEXT},
    text_digest(_STRANGER_TEXT),
)
"""An item that no call asks about, for faults that answer with another item's content."""


class ModelServerOptions(BaseModel):
    """How the server behaves.

    Attributes:
        delay: Seconds from a request's arrival to its answer.
        requests_per_second: Calls that pass in a second; the others are refused with status 429.
        requests_per_minute: Calls that pass in a minute.
        tokens_per_minute: Tokens of requests that pass in a minute.
        limiter: How the limits are counted.
        refusal: How a call over a limit is told to wait.
        api_key: The only key that is let in; any when None.
        faults: Share of calls that each fault hits, between 0 and 1.
        script: Faults of the next calls in order of arrival; `none` for one that goes well.
        poison: A piece of text → the fault of every call that contains it.
        tempting: Share of recommendations in which a food is planted that its reader must not
            eat, or a drug, between 0 and 1; see `temptations`.
        seed: Decides which calls a share of faults hits.
        retry_after_seconds: The delay that a rate fault asks for; a limit knows its own.
        hang_seconds: How long a hang lasts before the connection is cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delay: float = Field(default=0.0, ge=0)
    requests_per_second: float | None = Field(default=None, gt=0)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    limiter: LimiterKind = LimiterKind.SLIDING
    refusal: Fault = Fault.RETRY_AFTER_MS
    api_key: str | None = None
    faults: dict[Fault, Annotated[float, Field(ge=0, le=1)]] = {}
    script: tuple[Fault, ...] = ()
    poison: dict[str, Fault] = {}
    tempting: float = Field(default=0.0, ge=0, le=1)
    seed: int = 0
    retry_after_seconds: float = Field(default=0.2, ge=0)
    hang_seconds: float = Field(default=3600.0, ge=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if sum(self.faults.values()) > 1 + 1e-9:
            raise ValueError("the shares of the faults add up to more than 1")
        if self.refusal not in RATE_FAULTS:
            raise ValueError(f"{self.refusal.value} is no way to refuse a call over a limit")
        return self

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These options with some changed.

        Raises:
            ValidationError: A change makes no sense.
        """
        return type(self).model_validate(self.model_dump() | dict(changes))


@dataclass(slots=True)
class CallLog:
    """What came in and what became of it.

    `received` is the sum of the outcomes and of what is in flight.

    Attributes:
        arrivals: Seconds on a monotonic clock, one for every call, refused ones too.
        outcomes: `answered`, `refused` (429, 401, 400), `failed` (other faults), `abandoned` (the
            client went away first).
        asked: Times each item's text reached the model, by `text_digest`; refused calls don't
            count.
        faults: Times each fault was played.
    """

    arrivals: "array[float]" = field(default_factory=lambda: array("d"))
    outcomes: Counter[str] = field(default_factory=Counter[str])
    asked: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    in_flight: int = 0
    peak_in_flight: int = 0
    prompt_tokens: int = 0

    def arrive(self, now: float) -> None:
        """A call came in."""
        self.arrivals.append(now)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self, outcome: str) -> None:
        """A call ended."""
        self.in_flight -= 1
        self.outcomes[outcome] += 1

    def busiest_window(self, seconds: float) -> int:
        """Most calls that arrived in any half-open window of that length."""
        return max(
            (
                bisect_left(self.arrivals, start + seconds) - position
                for position, start in enumerate(self.arrivals)
            ),
            default=0,
        )

    def per_second(self) -> list[int]:
        """Calls that arrived in each second since the first."""
        if not self.arrivals:
            return []
        first = self.arrivals[0]
        counts = [0] * (int(self.arrivals[-1] - first) + 1)
        for arrival in self.arrivals:
            counts[int(arrival - first)] += 1
        return counts

    def summary(self, window_seconds: float, with_items: bool) -> dict[str, Any]:
        """Everything above as plain JSON; the items' own counts only when asked for."""
        figures: dict[str, Any] = {
            "made_up": True,
            "received": len(self.arrivals),
            **{
                name: self.outcomes[name] for name in ("answered", "refused", "failed", "abandoned")
            },
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "items_asked": self.asked.total(),
            "distinct_items": len(self.asked),
            "items_asked_again": sum(count - 1 for count in self.asked.values()),
            "prompt_tokens": self.prompt_tokens,
            "faults": dict(self.faults),
            "calls_per_second": self.per_second(),
            "window_seconds": window_seconds,
            "max_calls_in_window": self.busiest_window(window_seconds),
        }
        if with_items:
            figures["asked"] = dict(self.asked)
        return figures


class ModelServer:
    """The server's state and its handlers.

    Args:
        options: How it behaves at first.
        clock: Seconds on a monotonic clock.
    """

    def __init__(
        self, options: ModelServerOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._answerers = chat_calls.Answerers()
        self._log = CallLog()
        self._numbers = 0
        self._configure(options)

    def application(self) -> web.Application:
        """The aiohttp application; `/v1` may be left out, as some providers' addresses do."""
        application = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        for prefix in ("/v1", "/v1/openai", "/v1beta/openai", ""):
            application.router.add_post(f"{prefix}/chat/completions", self._complete)
            application.router.add_get(f"{prefix}/models", self._models)
        application.router.add_get("/sandbox/stats", self._stats)
        application.router.add_post("/sandbox/configure", self._reconfigure)
        application.router.add_post("/sandbox/reset", self._reset)
        return application

    def _configure(self, options: ModelServerOptions) -> None:
        self._options = options
        self._faults = FaultPlan(options.faults, options.script, options.poison, options.seed)
        self._limiters: list[Limiter] = [
            limiter(options.limiter, limit, window)
            for limit, window in (
                (options.requests_per_second, 1.0),
                (options.requests_per_minute, 60.0),
            )
            if limit is not None
        ]
        self._token_limiter = (
            limiter(options.limiter, options.tokens_per_minute, 60.0)
            if options.tokens_per_minute is not None
            else None
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        arrived_at = self._clock()
        self._log.arrive(arrived_at)
        outcome = "abandoned"
        try:
            response, outcome = await self._outcome(request, arrived_at)
            return response
        finally:
            self._log.leave(outcome)

    async def _outcome(
        self, request: web.Request, arrived_at: float
    ) -> tuple[web.StreamResponse, str]:
        body = await request.read()
        if not self._is_let_in(request):
            return self._error(Fault.BAD_KEY), "refused"
        try:
            call = chat_calls.read_call(body)
        except BadCallError as bad:
            return _json(openai_error(bad.reason, bad.code), 400), "refused"
        wait = self._wait_for(call)
        if wait > 0:
            return self._error(self._options.refusal, wait), "refused"
        fault = self._faults.next(call.digest, [item.text for item in call.items])
        if fault is not Fault.NONE:
            self._log.faults[fault.value] += 1
        error = self._error_of(fault)
        if error is not None and error.status < 500:
            return _response(error), "refused"
        for item in call.items:
            self._log.asked[item.digest] += 1
        self._log.prompt_tokens += call.prompt_tokens
        # Made before the wait: what it takes is part of the delay, as with a real model.
        has_answer = error is None and fault not in (Fault.HANG, Fault.RESET)
        body = self._answer(call, fault) if has_answer else b""
        left = arrived_at + self._options.delay - self._clock()
        if left > 0:
            await asyncio.sleep(left)
        return await self._play(fault, request, body)

    async def _play(
        self, fault: Fault, request: web.Request, body: bytes
    ) -> tuple[web.StreamResponse, str]:
        error = self._error_of(fault)
        if error is not None:
            return _response(error), "failed"
        if fault is Fault.HANG:
            await asyncio.sleep(self._options.hang_seconds)
        if fault in (Fault.HANG, Fault.RESET):
            return _cut(request), "failed"
        if fault is Fault.TRUNCATED_BODY:
            return await _half_sent(request, body), "failed"
        return web.Response(body=body, content_type=_JSON, headers=_MADE_UP), "answered"

    def _error(self, fault: Fault, wait_seconds: float | None = None) -> web.Response:
        error = self._error_of(fault, wait_seconds)
        if error is None:
            raise ValueError(f"{fault.value} is no error response")
        return _response(error)

    def _error_of(self, fault: Fault, wait_seconds: float | None = None) -> ErrorResponse | None:
        wait = self._options.retry_after_seconds if wait_seconds is None else wait_seconds
        return error_response(fault, wait, datetime.now(UTC))

    def _is_let_in(self, request: web.Request) -> bool:
        key = self._options.api_key
        return key is None or request.headers.get(hdrs.AUTHORIZATION) == f"Bearer {key}"

    def _wait_for(self, call: ChatCall) -> float:
        now = self._clock()
        for each in self._limiters:
            wait = each.wait_seconds(now)
            if wait > 0:
                return wait
        if self._token_limiter is not None:
            return self._token_limiter.wait_seconds(now, call.prompt_tokens)
        return 0.0

    def _answer(self, call: ChatCall, fault: Fault) -> bytes:
        self._numbers += 1
        created = int(time.time())
        if fault is Fault.REFUSAL:
            words = "I'm sorry, I can't help with that. (sandbox)"
            return chat_calls.completion(call, None, created, self._numbers, refusal=words)
        if call.schema is None and not call.has_items:
            text = spoiled_text(fault, "", chat_calls.made_up_sentence(call))
        else:
            answers = self._answers(call, fault)
            text = spoiled_text(fault, answers, json.dumps(answers, ensure_ascii=False))
        reason = "length" if fault is Fault.CUT_OFF else "stop"
        most = call.max_tokens
        if most is not None and chat_calls.tokens_of(text) > most:
            text, reason = chat_calls.first_tokens(text, most), "length"
        if call.tool is not None and fault is Fault.EMPTY_ANSWER:
            return chat_calls.completion(call, None, created, self._numbers)
        return chat_calls.completion(call, text, created, self._numbers, finish_reason=reason)

    def _answers(self, call: ChatCall, fault: Fault) -> Any:
        answerer = self._answerers.of(call)
        schema = answerer.answers_schema()
        if schema is None:
            whole = answerer.one(call.items[0])
            return {"result": "ok"} if fault is Fault.WRONG_SHAPE else whole
        answers = [self._tempted(answerer.one(item, schema), item, call) for item in call.items]
        if fault is not Fault.NONE:
            answers = spoiled_answers(fault, answers, answerer.one(_STRANGER, schema))
        return {"answers": answers}

    def _tempted(self, answer: Any, item: Item, call: ChatCall) -> Any:
        if not self._options.tempting:
            return answer
        chance = random.Random(f"{self._options.seed}:{call.digest}:{item.digest}")  # noqa: S311
        if chance.random() >= self._options.tempting:
            return answer
        return tempted(answer, item.text, chance)

    async def _models(self, request: web.Request) -> web.Response:
        if not self._is_let_in(request):
            return self._error(Fault.BAD_KEY)
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in _MODELS
        ]
        return _json({"object": "list", "data": listed})

    async def _stats(self, request: web.Request) -> web.Response:
        try:
            window = float(request.query.get("window", "60"))
        except ValueError:
            return _json(openai_error("window must be a number of seconds", "window"), 400)
        return _json(self._log.summary(window, request.query.get("items") == "true"))

    async def _reconfigure(self, request: web.Request) -> web.Response:
        try:
            self._configure(self._options.changed(await request.json()))
        except (ValidationError, ValueError) as error:
            return _json(openai_error(str(error), "options"), 400)
        return _json(self._options.model_dump(mode="json", exclude={"api_key"}))

    async def _reset(self, _request: web.Request) -> web.Response:
        in_flight = self._log.in_flight
        self._log = CallLog(in_flight=in_flight)
        self._configure(self._options)
        return _json({"made_up": True})


def _json(value: object, status: int = 200, headers: Mapping[str, str] = _MADE_UP) -> web.Response:
    return web.Response(
        body=json.dumps(value, ensure_ascii=False).encode(),
        status=status,
        content_type=_JSON,
        headers=headers,
    )


def _response(error: ErrorResponse) -> web.Response:
    if isinstance(error.body, str):
        return web.Response(
            text=error.body,
            status=error.status,
            content_type="text/html",
            headers={**_MADE_UP, **error.headers},
        )
    return _json(error.body, error.status, {**_MADE_UP, **error.headers})


def _cut(request: web.Request) -> web.Response:
    """Reset the connection, as a crashed server does; what is returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _half_sent(request: web.Request, body: bytes) -> web.StreamResponse:
    """Promise a body, send half of it and hang up."""
    response = web.StreamResponse(headers=_MADE_UP)
    response.content_type = _JSON
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


@dataclass(frozen=True, slots=True)
class RunningModelServer:
    """A handle on a running server, from the same machine.

    Attributes:
        port: Its port on the loopback interface.
    """

    port: int

    @property
    def url(self) -> str:
        """Base address for the `openai` package."""
        return f"http://{loopback.LOOPBACK}:{self.port}/v1"

    def stats(self, window_seconds: float = 60, *, items: bool = False) -> dict[str, Any]:
        """See `CallLog.summary`."""
        query = f"window={window_seconds}&items={'true' if items else 'false'}"
        return self._ask("GET", f"/sandbox/stats?{query}")

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Change options while the server runs; the names are `ModelServerOptions`' attributes.

        Limits, the script and the shares of faults start afresh.

        Raises:
            ValueError: A change makes no sense.
        """
        return self._ask("POST", "/sandbox/configure", changes)

    def reset(self) -> None:
        """Forget every call seen and every limit used up; keep the options."""
        self._ask("POST", "/sandbox/reset")

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(loopback.LOOPBACK, self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(answer["error"]["message"])
        return answer


@contextmanager
def running_model_server(
    *, port: int = 0, as_process: bool = False, **options: Any
) -> Iterator[RunningModelServer]:
    """Run a model server while the block runs.

    Args:
        port: Port on the loopback interface; 0 takes a free one.
        as_process: Whether in a process of its own, so that it takes no time from the caller's
            interpreter (benchmarks); a thread otherwise, which is up within milliseconds.
        options: `ModelServerOptions`' attributes.
    """
    chosen = ModelServerOptions(**options)
    if as_process:
        with _server_process(port, chosen) as server:
            yield server
        return
    bound = loopback.loopback_socket(port)
    with loopback.serving_in_a_thread(ModelServer(chosen).application, bound):
        yield RunningModelServer(bound.getsockname()[1])


@contextmanager
def _server_process(port: int, options: ModelServerOptions) -> Iterator[RunningModelServer]:
    command = [sys.executable, "-m", "batch_platform.sandbox.model_server", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--options", options.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError("The sandbox's model server did not start")
            yield RunningModelServer(json.loads(line)["port"])
        finally:
            process.terminate()


async def _serve_until_signalled(port: int, options: ModelServerOptions) -> None:
    bound = loopback.loopback_socket(port)
    runner = await loopback.start_application(ModelServer(options).application(), bound)
    server = RunningModelServer(bound.getsockname()[1])
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    sys.stdout.write(json.dumps({"made_up": True, "url": server.url, "port": server.port}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()


def main(arguments: list[str] | None = None) -> int:
    """Run the server until SIGINT or SIGTERM; says its address in a line of JSON when ready."""
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on the loopback interface")
    parser.add_argument("--delay", type=float, help="seconds before an answer")
    parser.add_argument("--requests-per-second", type=float)
    parser.add_argument("--requests-per-minute", type=float)
    parser.add_argument("--tokens-per-minute", type=float)
    parser.add_argument("--limiter", choices=[kind.value for kind in LimiterKind])
    parser.add_argument("--api-key", help="the only key that is let in")
    parser.add_argument(
        "--fault",
        action="append",
        dest="faults",
        type=_fault_share,
        metavar="KIND=SHARE",
        help=f"share of calls that go wrong; kinds: {', '.join(Fault)}",
    )
    parser.add_argument("--seed", type=int, help="decides which calls go wrong")
    parser.add_argument("--options", default="{}", help="the same as JSON")
    asked = vars(parser.parse_args(arguments))
    port, written = asked.pop("port"), asked.pop("options")
    said = {name: value for name, value in asked.items() if value is not None}
    if "faults" in said:
        said["faults"] = dict(said["faults"])
    try:
        options = ModelServerOptions.model_validate_json(written).changed(said)
        # Its waits are right on average; those of asyncio's own loop are half a millisecond long,
        # as epoll waits for whole ones, rounded up.
        uvloop.run(_serve_until_signalled(port, options))
    except (ValidationError, OSError) as error:
        sys.stderr.write(f"The model server cannot start: {error}\n")
        return 2
    return 0


def _fault_share(said: str) -> tuple[str, float]:
    kind, _, share = said.partition("=")
    return kind, float(share)


if __name__ == "__main__":
    sys.exit(main())

"""What tests and benchmarks rely on in our own model server, over HTTP as they use it."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, ValidationError

from batch_platform.sandbox.faults import RATE_FAULTS, Fault
from batch_platform.sandbox.made_up_answers import text_digest
from batch_platform.sandbox.model_server import main, running_model_server


class Answer(BaseModel):
    id: str
    head: str


class Answers(BaseModel):
    answers: list[Answer]


def body(*texts: str, model: str = "sandbox-1", **more) -> dict:
    lines = "\n".join(
        json.dumps({"id": str(n), "head": text[:2], "text": text}, ensure_ascii=False)
        for n, text in enumerate(texts, start=1)
    )
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "Answer."},
            {"role": "user", "content": f"<items>\n{lines}\n</items>"},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answers", "schema": Answers.model_json_schema()},
        },
        **more,
    }


@pytest.fixture(scope="module")
def running():
    with running_model_server() as server:
        yield server


@pytest.fixture
def server(running):
    running.configure(
        delay=0,
        requests_per_second=None,
        requests_per_minute=None,
        tokens_per_minute=None,
        limiter="sliding",
        refusal="429-retry-after-ms",
        api_key=None,
        faults={},
        script=[],
        poison={},
        retry_after_seconds=0.2,
        hang_seconds=3600,
    )
    running.reset()
    return running


@pytest.fixture
def http(running):
    with httpx.Client(base_url=running.url, timeout=5) as client:
        yield client


def ask(http, *texts: str, **more) -> httpx.Response:
    return http.post("/chat/completions", json=body(*texts or ("전학 문의",), **more))


def content_of(response: httpx.Response) -> str:
    return response.json()["choices"][0]["message"]["content"]


def heads(response: httpx.Response) -> list[tuple[str, str]]:
    answers = json.loads(content_of(response))["answers"]
    return [(answer["id"], answer["head"]) for answer in answers]


def test_every_item_is_answered_under_its_id_and_marked_as_made_up(server, http):
    response = ask(http, "가나다", "라마바")
    assert heads(response) == [("1", "가나"), ("2", "라마")]
    assert response.headers["x-sandbox"] == "made-up"
    assert response.json()["system_fingerprint"] == "sandbox-made-up"


def test_a_schema_in_the_prompt_is_enough(server, http):
    asked = body("가나다")
    del asked["response_format"]
    asked["messages"][0]["content"] = f"Schema: {json.dumps(Answers.model_json_schema())}"
    assert heads(http.post("/chat/completions", json=asked)) == [("1", "가나")]


def test_asking_again_with_a_remark_still_finds_the_items(server, http):
    asked = body("가나다")
    asked["messages"] += [
        {"role": "assistant", "content": "{"},
        {"role": "user", "content": "That was no JSON."},
    ]
    assert heads(http.post("/chat/completions", json=asked)) == [("1", "가나")]


def test_the_address_works_with_and_without_its_version(server, http):
    for prefix in ("", "/v1", "/v1/openai"):
        root = server.url.removesuffix("/v1") + prefix
        assert httpx.post(f"{root}/chat/completions", json=body("가")).status_code == 200
        assert httpx.get(f"{root}/models").json()["data"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None},
        {"messages": []},
        {"stream": True},
        {"messages": [{"role": "user", "content": "<items>\nno json\n</items>"}]},
        {"model": "HCX-005"},
    ],
    ids=["no model", "no messages", "stream", "broken line", "HCX-005 has no json_schema"],
)
def test_a_request_that_a_provider_would_refuse_is_refused(server, http, wrong):
    response = http.post("/chat/completions", json=body("가") | wrong)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert server.stats()["refused"] == 1


def test_hcx_calls_functions_only_with_room_for_1024_tokens(server, http):
    tools = [{"type": "function", "function": {"name": "answer", "parameters": {}}}]
    few = ask(http, model="HCX-005", response_format=None, tools=tools, max_tokens=1023)
    enough = ask(http, model="HCX-005", response_format=None, tools=tools, max_tokens=1024)
    assert (few.status_code, enough.status_code) == (400, 200)


def test_an_answer_is_cut_at_the_most_tokens_asked_for(server, http):
    choice = ask(http, "가나다", max_tokens=3).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) <= 12


def test_only_the_right_key_is_let_in(server, http):
    server.configure(api_key="right")
    with OpenAI(base_url=server.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
    with OpenAI(base_url=server.url, api_key="right", max_retries=0) as client:
        assert client.models.list().data
    assert server.stats()["items_asked"] == 0


def test_the_delay_passes_before_an_answer_and_calls_wait_side_by_side(server, http):
    server.configure(delay=0.15)
    start = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(http), range(8)))
    assert 0.15 <= time.monotonic() - start < 0.15 * 8
    assert 1 < server.stats()["peak_in_flight"] <= 8


@pytest.mark.parametrize("limiter", ["sliding", "fixed", "bucket"])
def test_calls_over_a_limit_are_refused_and_told_how_long_to_wait(server, http, limiter):
    server.configure(requests_per_minute=3, limiter=limiter)
    statuses = [ask(http).status_code for _ in range(8)]
    # A fixed minute can end between two of these calls.
    assert 2 <= statuses.count(429) <= 5
    refused = next(r for r in (ask(http) for _ in range(5)) if r.status_code == 429)
    assert 0 < float(refused.headers["retry-after-ms"]) <= 60_001


def test_tokens_are_limited_too(server, http):
    server.configure(tokens_per_minute=60)
    statuses = [ask(http, "가" * 40).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]


@pytest.mark.parametrize("fault", sorted(RATE_FAULTS))
def test_a_limit_can_refuse_in_each_providers_way(server, http, fault):
    server.configure(requests_per_minute=1, refusal=fault)
    assert [ask(http).status_code for _ in range(2)] == [200, 429]


def test_the_figures_add_up_and_tell_what_was_asked_how_often(server, http):
    server.configure(script=["none", "503", "429-no-delay", "fenced"])
    for text in ("가", "나", "다", "가"):
        ask(http, text)
    stats = server.stats(items=True)
    assert (stats["received"], stats["answered"], stats["failed"], stats["refused"]) == (4, 2, 1, 1)
    assert stats["asked"] == {text_digest("가"): 2, text_digest("나"): 1}
    assert (stats["items_asked"], stats["distinct_items"], stats["items_asked_again"]) == (3, 2, 1)
    assert stats["faults"] == {"503": 1, "429-no-delay": 1, "fenced": 1}
    assert sum(stats["calls_per_second"]) == 4
    assert (stats["in_flight"], stats["peak_in_flight"]) == (0, 1)


def test_the_busiest_window_is_found_whatever_its_length(server, http):
    for pause in (0, 0, 0.3, 0):
        time.sleep(pause)
        ask(http)
    assert server.stats(60)["max_calls_in_window"] == 4
    assert server.stats(0.25)["max_calls_in_window"] == 2
    server.reset()
    assert server.stats()["max_calls_in_window"] == 0


def test_a_caller_that_goes_away_is_counted_as_gone(server, http):
    server.configure(delay=30)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/chat/completions", json=body("가"), timeout=0.2)
    deadline = time.monotonic() + 5
    while server.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stats()["abandoned"] == 1


@pytest.mark.parametrize("fault", ["500", "503", "502-html"])
def test_a_server_error_is_one(server, http, fault):
    server.configure(script=[fault])
    assert ask(http).status_code == int(fault[:3])


@pytest.mark.parametrize("fault", ["reset", "truncated-body", "hang"])
def test_a_broken_connection_never_looks_like_an_answer(server, http, fault):
    server.configure(script=[fault], hang_seconds=0.1)
    with pytest.raises(httpx.TransportError):
        ask(http)
    assert ask(http).status_code == 200
    assert server.stats()["failed"] == 1


def test_a_hang_lasts_until_the_caller_gives_up(server, http):
    server.configure(script=["hang"])
    with pytest.raises(httpx.ReadTimeout):
        http.post("/chat/completions", json=body("가"), timeout=0.2)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("missing-id", [("1", "가나")]),
        ("swapped-ids", [("2", "가나"), ("1", "라마")]),
        ("foreign-content", [("1", "이 글은 아무도"), ("2", "라마")]),
        ("invented-id", [("1", "가나"), ("2", "라마"), ("9999", "이 글은 아무도")]),
        ("repeated-id", [("1", "가나"), ("2", "라마"), ("1", "이 글은 아무도")]),
    ],
)
def test_answers_get_under_wrong_ids(server, http, fault, expected):
    server.configure(script=[fault])
    assert heads(ask(http, "가나다", "라마바")) == expected


@pytest.mark.parametrize("in_a_tool", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        *("invalid-json", "cut-off", "trailing-comma", "single-quotes", "fenced", "prose"),
        *("empty-answer", "refusal", "wrong-shape", "unwrapped"),
    ],
)
def test_a_spoiled_answer_does_not_validate(server, http, fault, in_a_tool):
    asked = body("가나다")
    if in_a_tool:
        schema = asked.pop("response_format")["json_schema"]["schema"]
        function = {"name": "answer", "parameters": schema}
        asked["tools"] = [{"type": "function", "function": function}]
    server.configure(script=[fault])
    choice = http.post("/chat/completions", json=asked).json()["choices"][0]
    message = choice["message"]
    calls = message.get("tool_calls")
    text = calls[0]["function"]["arguments"] if calls else message["content"]
    with pytest.raises(ValidationError):
        Answers.model_validate_json(text or "")
    assert (message["refusal"] is not None) == (fault == "refusal")
    assert (choice["finish_reason"] == "length") == (fault == "cut-off")


def test_poison_spoils_the_same_item_every_time(server, http):
    server.configure(poison={"독": Fault.REFUSAL})
    refusals = [
        ask(http, text).json()["choices"][0]["message"]["refusal"] is not None
        for text in ("물", "독", "물", "독")
    ]
    assert refusals == [False, True, False, True]


def test_options_that_make_no_sense_are_refused_and_change_nothing(server, http):
    with pytest.raises(ValueError, match="more than 1"):
        server.configure(faults={"500": 0.7, "503": 0.7})
    with pytest.raises(ValueError, match="no way to refuse"):
        server.configure(refusal="hang")
    with pytest.raises(ValueError, match="delay"):
        server.configure(delay=-1)
    assert ask(http).status_code == 200


def test_it_listens_on_the_loopback_interface_only(server):
    assert server.url.startswith("http://127.0.0.1:")


def test_as_a_process_it_ends_with_the_block_even_while_a_call_hangs():
    with running_model_server(as_process=True, script=("hang",)) as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/chat/completions", json=body("가"), timeout=0.2)
        waiting = threading.Thread(target=_ask_in_vain, args=(server.url,))
        server.configure(script=["hang"])
        waiting.start()
        while server.stats()["in_flight"] == 0:
            time.sleep(0.01)
    waiting.join(5)
    assert not waiting.is_alive()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/models")


def _ask_in_vain(url: str) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/chat/completions", json=body("가"), timeout=20)


def test_a_command_line_that_makes_no_sense_ends_with_a_word(capsys):
    assert main(["--fault", "500=2"]) == 2
    assert "faults" in capsys.readouterr().err

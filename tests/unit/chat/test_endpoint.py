"""The HTTP client against a real server on this machine."""

import socket
import threading

import numpy as np
import pytest
from chat_server import chat_server, completion

from duelbench.chat.endpoint import ChatEndpoint, EndpointError


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(url, prompts=("hello",), **options):
    chat = ChatEndpoint(url, "small", max_new_tokens=5, **{"pause": 0.0, **options})
    return chat.complete(prompts, np.random.default_rng(0))


def test_each_prompt_is_one_request_in_the_form_that_such_endpoints_take():
    with chat_server(lambda k, body: (200, completion(f"answer {k}"))) as server:
        assert ask(server.url + "/", ["one", "zwei ü"]) == ["answer 0", "answer 1"]
    assert server.paths == ["/v1/chat/completions"] * 2 and server.prompts == ["one", "zwei ü"]
    assert server.bodies[0] == {
        "model": "small",
        "messages": [{"role": "user", "content": "one"}],
        "max_tokens": 5,
        "temperature": 0.0,
    }
    assert server.headers[0]["Content-Type"] == "application/json" and "Authorization" not in server.headers[0]


def test_a_key_in_the_environment_is_sent_and_samples_are_seeded(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with chat_server(lambda k, body: (200, completion("x"))) as server:
        for _ in range(2):
            ask(server.url, ["a", "b"], temperature=0.7)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    seeds = [body["seed"] for body in server.bodies]
    assert seeds[:2] == seeds[2:] and seeds[0] != seeds[1]


@pytest.mark.parametrize("failure", [(429, b"slow down"), (500, b"oops"), (503, b""), None])
def test_a_busy_or_dropped_endpoint_is_asked_again(failure):
    with chat_server(lambda k, body: failure if k < 2 else (200, completion("at last"))) as server:
        assert ask(server.url) == ["at last"]
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_final_and_says_why(status):
    with (
        chat_server(lambda k, body: (status, b"no such model")) as server,
        pytest.raises(EndpointError, match=f"refused with status {status}: 'no such model'"),
    ):
        ask(server.url)
    assert len(server.bodies) == 1


def test_an_endpoint_that_stays_busy_is_given_up():
    with (
        chat_server(lambda k, body: (503, b"busy")) as server,
        pytest.raises(EndpointError, match="in 3 attempts, at last status 503: 'busy'"),
    ):
        ask(server.url, attempts=3)
    assert len(server.bodies) == 3


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": []}', b"[]", completion(None)])
def test_an_answer_that_is_none_is_shown(body):
    with chat_server(lambda k, asked: (200, body)) as server, pytest.raises(EndpointError, match="answered"):
        ask(server.url)


def test_an_endpoint_that_is_not_there_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(EndpointError, match="in 2 attempts, at last URLError"):
        ask(url, attempts=2)


def test_a_silent_endpoint_runs_out_of_time():
    over = threading.Event()

    def keep_waiting(number, body):
        over.wait(10)

    with chat_server(keep_waiting) as server:
        try:
            with pytest.raises(EndpointError, match="TimeoutError"):
                ask(server.url, attempts=1, timeout=0.05)
        finally:
            over.set()


def test_other_schemes_are_refused():
    with pytest.raises(ValueError, match="expected an endpoint such as"):
        ChatEndpoint("file:///etc/passwd", "x", max_new_tokens=1)

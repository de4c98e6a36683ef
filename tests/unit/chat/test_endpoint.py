"""The HTTP client against a real server on this machine."""

import contextlib
import json
import socket
import threading

import numpy as np
import pytest
from chat_server import chat_server, completion

from duelbench.chat.endpoint import ChatEndpoint, Connection, EndpointError


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def endpoint(url, *, temperature=0.0, **connection):
    options = Connection(**{"pause": 0.0, "concurrency": 1, **connection})
    return ChatEndpoint(url, "small", max_new_tokens=5, temperature=temperature, connection=options)


def ask(url, prompts=("hello",), **options):
    return endpoint(url, **options).complete(prompts, np.random.default_rng(0))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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


def test_the_key_may_have_another_name_and_must_fit_a_header(monkeypatch):
    monkeypatch.setenv("MY_KEY", "mine\n")
    with chat_server(lambda k, body: (200, completion("x"))) as server:
        ask(server.url, key_variable="MY_KEY")
        monkeypatch.setenv("MY_KEY", "schlüssel")
        with pytest.raises(EndpointError, match="key in MY_KEY"):
            ask(server.url, key_variable="MY_KEY")
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer mine"]


@pytest.mark.parametrize(
    "failure",
    [
        (429, b"slow down"),
        (500, b"oops"),
        (503, b""),
        (408, b""),
        None,
        (200, b'{"choices": [{"mess'),
        (200, completion("cut"), {"Content-Length": "1000"}),
    ],
)
def test_a_busy_or_dropped_endpoint_is_asked_again(failure):
    with chat_server(lambda k, body: failure if k < 2 else (200, completion("at last"))) as server:
        assert ask(server.url) == ["at last"]
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_refusal_is_final_and_says_why(status):
    elsewhere = {"Location": "http://127.0.0.1:1/"}
    with (
        chat_server(lambda k, body: (status, b"no such model", elsewhere)) as server,
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


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b"[]", b'{"error": "x"}', completion(None), completion(7)])
def test_an_answer_that_is_none_is_shown_and_not_paid_for_again(body):
    with chat_server(lambda k, asked: (200, body)) as server, pytest.raises(EndpointError, match="answered"):
        ask(server.url)
    assert len(server.bodies) == 1


def test_an_endpoint_that_is_not_there_is_named():
    with pytest.raises(EndpointError, match="in 2 attempts, at last ConnectError"):
        ask(f"http://127.0.0.1:{free_port()}/v1", attempts=2)


@pytest.mark.parametrize("drops", [False, True])
def test_a_silent_or_trickling_endpoint_runs_out_of_time(drops):
    over = threading.Event()

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while drops and not over.wait(0.02):
            connection.sendall(b"1\r\n \r\n")
        over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):  # the client hangs up, as it should
                trickle(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(EndpointError, match="ReadTimeout"):
                ask(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", attempts=1, timeout=0.2)
        finally:
            over.set()
            thread.join()


def test_answers_keep_their_order_and_one_failure_costs_the_others_nothing():
    def answer(number, body):
        text = body["messages"][0]["content"]
        return (400, b"too long") if text == "3" else (200, completion(text))

    with chat_server(answer) as server:
        replies = endpoint(server.url, concurrency=4).ask([str(k) for k in range(20)])
    assert [reply.text for reply in replies] == [None if k == 3 else str(k) for k in range(20)]
    assert "too long" in replies[3].failure


def test_so_many_requests_are_under_way_at_once_and_no_more():
    """All that may be under way arrive before any is answered; one more would break the barrier."""
    together, under_way, most = threading.Barrier(4, timeout=10), 0, 0
    lock = threading.Lock()

    def answer(number, body):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait()
        with lock:
            under_way -= 1
        return 200, completion("x")

    with chat_server(answer) as server:
        assert endpoint(server.url, concurrency=4).complete(["x"] * 12, np.random.default_rng(0)) == ["x"] * 12
    assert most == 4


def test_connections_are_kept():
    with chat_server(lambda k, body: (200, completion("x"))) as server:
        chat = endpoint(server.url)
        for _ in range(3):
            chat.complete(["a"], np.random.default_rng(0))
    assert len(server.bodies) == 3 and len(set(server.clients)) == 1


@pytest.mark.parametrize("wanted", ["0.2", "0.20"])
def test_it_waits_as_long_as_it_is_asked_to(wanted, monkeypatch):
    held = []
    with chat_server(
        lambda k, body: (429, b"wait", {"Retry-After": wanted}) if k == 0 else (200, completion("x"))
    ) as server:
        chat = endpoint(server.url)
        hold = chat._pace.hold
        monkeypatch.setattr(chat._pace, "hold", lambda seconds: (held.append(seconds), hold(seconds)))
        assert chat.complete(["a"], np.random.default_rng(0)) == ["x"]
    assert held == [0.2]


def test_a_pause_that_is_too_long_is_said_and_not_waited_for():
    with (
        chat_server(lambda k, body: (429, b"quota", {"Retry-After": "86400"})) as server,
        pytest.raises(EndpointError, match="asked again in 86400 seconds: status 429: 'quota'"),
    ):
        ask(server.url)
    assert len(server.bodies) == 1


def test_tokens_and_requests_are_counted():
    reply = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 11, "completion_tokens": 3}}
    with chat_server(lambda k, body: (503, b"") if k == 0 else (200, json.dumps(reply).encode())) as server:
        chat = endpoint(server.url)
        replies = chat.ask(["a", "b"])
    assert (chat.requests, chat.generated_tokens) == (3, 6)
    assert [(reply.read, reply.written) for reply in replies] == [(11, 3)] * 2


def test_pauses_grow_with_jitter_and_never_beyond_the_longest(monkeypatch):
    slept = []
    monkeypatch.setattr("tenacity.sleep_using_event", lambda event: slept.append)
    with chat_server(lambda k, body: (500, b"")) as server, pytest.raises(EndpointError):
        ask(server.url, pause=1.0, longest_pause=4.0, attempts=6)
    assert len(slept) == 5 and len(set(slept)) == 5
    assert all(top / 2 <= pause <= top for pause, top in zip(slept, [1, 2, 4, 4, 4], strict=True))


def test_an_interrupt_ends_it_at_once(monkeypatch):
    chat = endpoint("http://127.0.0.1:1/v1", attempts=100, pause=60.0, concurrency=2)

    monkeypatch.setattr(chat, "_wait", lambda state: 3600.0)
    reply = chat._reply
    begun = threading.Event()

    def first_is_interrupted(body, stop):
        if not begun.is_set():
            begun.set()
            raise KeyboardInterrupt
        return reply(body, stop)

    monkeypatch.setattr(chat, "_reply", first_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        chat.ask(["a"] * 5)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://[::1", "http://", "localhost:8000"])
def test_other_schemes_are_refused(url):
    with pytest.raises(ValueError, match="expected an endpoint such as"):
        ChatEndpoint(url, "x", max_new_tokens=1)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"timeout": 0}, {"per_minute": -1}, {"pause": float("nan")}])
def test_a_connection_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"connection\."):
        Connection(**wrong)

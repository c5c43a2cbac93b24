"""The one way to a vendor: what an answer proves, and that no request outlives its deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import pytest

from psflow.errors import PsflowError, Rejected, TransientError, Unauthorized, UncertainOutcome
from psflow.systems.transport import ONCE, Patience, Proof, Reply, Transport
from tests.effects import open_effect

Vendor = Callable[..., str]
DEADLINE_S = 0.4
TRICKLE_S = 0.05


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Answer one request with these bytes, one part at a time, `pause_s` after each; return the base URL."""
    listeners: list[socket.socket] = []

    def answer(*parts: bytes, pause_s: float = 0.0) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_serve, args=(listener, parts, pause_s), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield answer
    for listener in listeners:
        listener.close()


def _serve(listener: socket.socket, parts: tuple[bytes, ...], pause_s: float) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:  # nobody called, and the test is over
        return
    with connection:
        connection.recv(1 << 16)
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                return
            time.sleep(pause_s)


@pytest.fixture
def answers() -> Iterator[Callable[..., tuple[str, list[float]]]]:
    """Give each request the next of these answers, the last one for good; return the base URL and when each came."""
    listeners: list[socket.socket] = []

    def serve(*replies: bytes) -> tuple[str, list[float]]:
        listener, came = socket.create_server(("127.0.0.1", 0)), list[float]()
        listeners.append(listener)

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1 << 16)
                        came.append(time.monotonic())
                        connection.sendall(replies[min(len(came), len(replies)) - 1])

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}", came

    yield serve
    for listener in listeners:
        listener.close()


def http(status: int, body: str = "", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def write(url: str, proof: Proof = Proof()) -> Reply:  # noqa: B008
    headers = {"Authorization": "Bearer swordfish"}
    return Transport("kantata", url, DEADLINE_S).write(open_effect(), "POST", "/x", proof, headers=headers)


@pytest.mark.parametrize("status", [302, 304, 307, 403, 404, 405, 408, 409, 412, 423, 425, 500, 502, 503, 504])
def test_an_answer_that_proves_nothing_leaves_a_write_unknown(vendor: Vendor, status: int) -> None:
    with pytest.raises(UncertainOutcome, match=f"answered {status}"):
        write(vendor(http(status, "", "Location: http://127.0.0.1:9/")))


@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (422, Rejected), (401, TransientError), (429, TransientError)]
)
def test_what_every_vendor_means_by_its_status_is_taken_as_proof(
    vendor: Vendor, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"answered {status}"):
        write(vendor(http(status)))


def test_a_vendor_says_itself_what_its_answers_prove(vendor: Vendor) -> None:
    proof = Proof(refused=((404, "GONE"),), not_applied=((503, "locked"),))
    with pytest.raises(Rejected, match="GONE"):
        write(vendor(http(404, "it is GONE")), proof)
    with pytest.raises(UncertainOutcome, match="nginx"):
        write(vendor(http(404, "nginx")), proof)
    with pytest.raises(TransientError, match="row is locked"):
        write(vendor(http(503, "row is locked")), proof)
    with pytest.raises(UncertainOutcome):
        write(vendor(http(422)), proof)


def test_a_head_that_trickles_does_not_outlive_the_deadline(vendor: Vendor) -> None:
    head = [b"HTTP/1.1 200 OK\r\n", *(b"X-Pad: 1\r\n" for _ in range(60)), b"Content-Length: 0\r\n\r\n"]
    began = time.monotonic()
    with pytest.raises(UncertainOutcome, match="Timeout after sending"):
        write(vendor(*head, pause_s=TRICKLE_S))
    assert time.monotonic() - began < 2 * DEADLINE_S


@pytest.mark.parametrize("length", ["Content-Length: 60\r\n", ""])  # without one, a cut line looks like the end
def test_a_body_that_trickles_does_not_outlive_the_deadline(vendor: Vendor, length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n".encode()
    began = time.monotonic()
    with pytest.raises(UncertainOutcome, match="Timeout after sending"):
        write(vendor(head, *([b"x"] * 60), pause_s=TRICKLE_S))
    assert time.monotonic() - began < 2 * DEADLINE_S


def test_a_slow_read_may_be_tried_again_and_a_quick_one_is_whole(vendor: Vendor) -> None:
    slow = vendor(b"HTTP/1.1 200 OK\r\n", *([b"X-Pad: 1\r\n"] * 60), pause_s=TRICKLE_S)
    with pytest.raises(TransientError, match="failed"):
        Transport("kantata", slow, DEADLINE_S, patience=ONCE).read("GET", "/x")
    quick = vendor(http(200, "whole")[:-3], b"ole", pause_s=TRICKLE_S)
    assert Transport("kantata", quick, DEADLINE_S).read("GET", "/x").body == b"whole"


def test_calls_in_a_row_are_watched_by_one_thread_and_a_shorter_deadline_counts_at_once(
    vendor: Vendor, answers: Answers
) -> None:
    transport = Transport("kantata", answers(http(200, "1"))[0], 60, patience=ONCE)
    transport.session.mount("http://", transport._lines)
    watchers = [transport.read("GET", "/x") and transport._lines._watcher for _ in range(3)]
    assert watchers[0] and watchers == watchers[:1] * 3
    transport.deadline_s = DEADLINE_S
    transport.base_url = vendor(b"HTTP/1.1 200 OK\r\n", *([b"X: 1\r\n"] * 60), pause_s=TRICKLE_S)
    began = time.monotonic()
    with pytest.raises(TransientError, match="failed"):
        transport.read("GET", "/x")
    assert time.monotonic() - began < 2 * DEADLINE_S


def test_an_error_repeats_how_the_answer_begins_and_no_secret(vendor: Vendor) -> None:
    page = '<html><b>Database  is full</b> Bearer swordfish, password=hunter2 "client_secret": "hunter3"</html>'
    with pytest.raises(UncertainOutcome, match="answered 500: Database is full") as caught:
        write(vendor(http(500, page + "x" * 9000)))
    assert not [secret for secret in ("swordfish", "hunter2", "hunter3") if secret in str(caught.value)]
    assert len(str(caught.value)) < 700


def test_where_nobody_listens_nothing_was_sent() -> None:
    with pytest.raises(TransientError, match="not sent"):
        write("http://127.0.0.1:9")


class Told:
    """An account that lets everything out and remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float | None]] = []

    def admit(self, patience_s: float, *, is_write: bool) -> None:
        self.heard.append(("write" if is_write else "read", None))

    def note(self, news: str, reason: str = "", wait_s: float | None = None) -> None:
        assert "swordfish" not in reason
        self.heard.append((news, wait_s))

    def signing_in(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize(
    ("answer", "news"),
    [
        (http(200), ("answered", None)),
        (http(404), ("answered", None)),
        (http(401), ("refused", None)),
        (http(403), ("refused", None)),
        (http(429), ("throttled", None)),
        (http(429, "", "Retry-After: 7"), ("throttled", 7)),
        (http(503, "", "Retry-After: 9"), ("throttled", 9)),
        (http(503), ("failed", None)),
        (http(308, "", "Location: http://127.0.0.1:9/"), ("answered", None)),
        (b"nonsense", ("failed", None)),
    ],
)
def test_the_account_is_asked_before_a_call_and_told_after_it(
    vendor: Vendor, answer: bytes, news: tuple[str, float | None]
) -> None:
    told = Told()
    headers = {"Authorization": "Bearer swordfish"}
    for ask in ("read", "write"):
        transport = Transport("kantata", vendor(answer), DEADLINE_S, account=told, patience=ONCE)
        with suppress(PsflowError):
            if ask == "read":
                transport.read("GET", "/x", headers=headers)
            else:
                transport.write(open_effect(), "POST", "/x", headers=headers)
    assert told.heard == [("read", None), news, ("write", None), news]


def test_a_busy_record_is_no_trouble_of_the_vendors(vendor: Vendor) -> None:
    told = Told()
    transport = Transport("kantata", vendor(http(503, "row is locked")), DEADLINE_S, account=told)
    with pytest.raises(TransientError):
        transport.write(open_effect(), "POST", "/x", Proof(not_applied=((503, "locked"),)))
    assert told.heard == [("write", None), ("answered", None)]


def test_what_the_account_does_not_admit_is_not_sent(vendor: Vendor) -> None:
    class Shut(Told):
        def admit(self, patience_s: float, *, is_write: bool) -> None:
            raise TransientError("breaker open", 30)

    transport = Transport("kantata", vendor(http(200)), DEADLINE_S, account=Shut())
    for ask in (lambda: transport.read("GET", "/x"), lambda: transport.write(open_effect(), "POST", "/x")):
        with pytest.raises(TransientError, match="breaker open"):
            ask()


def test_a_write_that_waited_too_long_for_its_turn_is_not_sent(vendor: Vendor) -> None:
    class Slow(Told):
        def admit(self, patience_s: float, *, is_write: bool) -> None:
            time.sleep(0.2)

    transport = Transport("kantata", vendor(http(200)), DEADLINE_S, account=Slow())
    with pytest.raises(TransientError, match="nothing was sent"):
        transport.write(open_effect(send_before=time.monotonic() + 0.1), "POST", "/x")


Answers = Callable[..., tuple[str, list[float]]]
SHORT = Patience(tries=4, within_s=2, pause_s=0.01)


def read(url: str, **asked: Any) -> Reply:
    return Transport("kantata", url, DEADLINE_S, patience=SHORT).read("GET", "/x", **asked)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_read_that_failed_in_passing_is_sent_again_at_once(answers: Answers, status: int) -> None:
    url, came = answers(http(status), b"", http(status), http(200, "whole"))  # b'': the line is closed on us
    assert read(url).body == b"whole"
    assert len(came) == 4


def test_a_read_is_given_up_after_its_tries(answers: Answers) -> None:
    url, came = answers(http(503))
    with pytest.raises(TransientError, match="answered 503") as caught:
        read(url)
    assert (len(came), caught.value.code) == (4, "503")


@pytest.mark.parametrize(
    ("status", "error"), [(401, TransientError), (302, Rejected), (403, Unauthorized), (404, Rejected)]
)
def test_a_read_that_would_be_answered_the_same_again_is_sent_once(
    answers: Answers, status: int, error: type[Exception]
) -> None:
    url, came = answers(http(status))
    with pytest.raises(error, match=f"answered {status}"):
        read(url)
    assert len(came) == 1


def test_a_vendor_says_itself_which_refusal_of_a_read_will_pass(answers: Answers) -> None:
    url, came = answers(http(403, "LIMIT"), http(403, "LIMIT"), http(200))
    assert read(url, later=((403, "LIMIT"),)).status == 200
    assert len(came) == 3


def test_a_short_retry_after_is_waited_for_and_a_long_one_left_to_the_task(answers: Answers) -> None:
    url, came = answers(http(429, "", "Retry-After: 1"), http(200))
    assert read(url).status == 200
    assert came[1] - came[0] >= 1
    url, came = answers(http(429, "", "Retry-After: 60"))
    with pytest.raises(TransientError) as caught:
        read(url)
    assert (len(came), caught.value.retry_after_s) == (1, 60)


def test_a_write_is_never_sent_again(answers: Answers) -> None:
    for status in (429, 503):
        url, came = answers(http(status))
        with pytest.raises((TransientError, UncertainOutcome)):
            Transport("kantata", url, DEADLINE_S, patience=SHORT).write(open_effect(), "POST", "/x")
        assert len(came) == 1

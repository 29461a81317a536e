"""A receiver of this machine that fails now and then: it keeps what it took by Idempotency-Key, as docs/services.md asks."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What may happen to a request. `late` and `lost` take it, and the sender never learns.
Step = int | str | tuple[int, dict[str, str]]


class Inbox(ThreadingHTTPServer):
    """Answers step by step, then as `default`; what it took once it does not find fault with later.

    Attributes:
        steps: what happens to the next requests: a status; a status with headers; `drop` (closed before it was taken),
            `lost` (taken, and closed without an answer), `late` (taken, and answered after `patience`), `half` (taken, and
            the answer is cut off).
        taken: what was taken, by key; without a header each request has a key of its own.
        keys: of all requests, in order.
        answer: makes the answer of 2xx.
    """

    daemon_threads = True

    def __init__(self, steps: list[Step], default: int = 200, patience: float = 0.0) -> None:
        self.steps, self.default, self.patience = list(steps), default, patience
        self.taken: dict[str, Any] = {}
        self.keys: list[str] = []
        self.paths: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.answer: Callable[[Any], Any] = lambda body: {}
        self.refuse: Callable[[Any], int | None] = lambda body: None
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a sender that was killed

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/s3cret"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for body in self.taken.values() for message in body["messages"]]

    @property
    def arrivals(self) -> Counter[str]:
        """How often each recipient was taken."""
        return Counter(message["customer_id"] for message in self.messages)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        inbox = self.server
        assert isinstance(inbox, Inbox)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        with inbox.lock:
            key = self.headers.get("Idempotency-Key") or str(len(inbox.keys))
            inbox.keys.append(key)
            inbox.paths.append((self.command, self.path))
            inbox.headers.append(dict(self.headers))
            inbox.times.append(time.monotonic())
            step = inbox.steps.pop(0) if inbox.steps else inbox.default
            if step in (413, 422) and key in inbox.taken:
                step = inbox.default
            refused = inbox.refuse(body)
            takes = refused is None and step in ("lost", "late", "half", inbox.default)
            if takes and key not in inbox.taken:
                inbox.taken[key] = body
        status, headers = step if isinstance(step, tuple) else (step, {})
        if step in ("drop", "lost"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if step == "late":
            time.sleep(inbox.patience)
        status = refused or (status if isinstance(status, int) else inbox.default)
        text = json.dumps(inbox.answer(body) if takes else {"message": "no"}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text) + (50 if step == "half" else 0)))
        self.end_headers()
        self.wfile.write(text)
        if step == "half":
            self.close_connection = True

    def do_PUT(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def open_inbox(*steps: Step, default: int = 200, patience: float = 0.0) -> Iterator[Inbox]:
    inbox = Inbox(list(steps), default, patience)
    thread = threading.Thread(target=inbox.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield inbox
    finally:
        inbox.shutdown()
        thread.join()
        inbox.server_close()

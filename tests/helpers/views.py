"""The pages of the views, served on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from helpers.servers import free_port
from recs_assets.app.ui import Views
from recs_assets.settings import Settings


def make_app(home: Path, **settings: object) -> FastAPI:
    """An application of nothing but the views."""
    app = FastAPI()
    app.state.views = Views(Settings(home=home, **settings))
    app.mount("/ui", app.state.views)
    return app


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """The address of a server that ends with the block."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        app.state.views.close()

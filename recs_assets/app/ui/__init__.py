"""The pages that people look at, as one ASGI application: `app.mount("/ui", Views(settings))`, behind a role."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recs_assets.settings import Settings


class Views:
    """The pages, imported when somebody first looks: a worker that only answers the shop stays small.

    Args:
        settings: of the deployment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, asyncio.Lock()
        self._app: Any = None
        self._desk: Any = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._app is None:
            async with self._lock:
                self._app = self._app or await asyncio.to_thread(self._make)
        # The pages know their whole addresses, wherever they are mounted.
        await self._app({**scope, "root_path": ""}, receive, send)

    def _make(self) -> Any:
        from fastapi import FastAPI

        from recs_assets.app.ui.questions import Questions
        from recs_assets.app.ui.router import make_desk, make_ui

        app, self._desk = FastAPI(openapi_url=None), make_desk(self._settings)
        app.include_router(make_ui(self._desk, Questions(self._settings)))
        return app

    def close(self) -> None:
        """Close the connection to the snapshot."""
        if self._desk is not None:
            self._desk.close()

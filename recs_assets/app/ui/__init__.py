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
        self._settings, self._app, self._lock = settings, None, asyncio.Lock()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._app is None:
            async with self._lock:
                self._app = self._app or await asyncio.to_thread(self._make)
        # The pages know their whole addresses, wherever they are mounted.
        await self._app({**scope, "root_path": ""}, receive, send)

    def _make(self) -> Any:
        from fastapi import FastAPI

        from recs_assets.app.ui.router import make_ui

        app = FastAPI(openapi_url=None)
        app.include_router(make_ui(self._settings))
        return app

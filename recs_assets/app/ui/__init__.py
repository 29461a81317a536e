"""The pages that people look at: `make_ui` gives them as a router, to be mounted behind a role."""

from recs_assets.app.ui.router import make_desk, make_ui

__all__ = ["make_desk", "make_ui"]

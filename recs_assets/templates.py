"""Render the HTML pages people look at: templates beside the code that fills them, everything from data escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, /, **values: object) -> str:
    """Fill a template.

    Args:
        template: path below `recs_assets`, such as `exports/email_preview.html.j2`.
        **values: what it shows; text is escaped, and a name that is missing is an error.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("recs_assets", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

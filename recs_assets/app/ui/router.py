"""The pages over HTTP: one address per view, the same view as CSV, and the two ways to a customer."""

from __future__ import annotations

import logging
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from recs_assets.app.ui import charts, words
from recs_assets.app.ui.audit_page import AUDIT
from recs_assets.app.ui.customer_pages import EMAIL, JOURNEY, PLAYGROUND, TIMELINE
from recs_assets.app.ui.page import Page, Shown
from recs_assets.app.ui.product_pages import RULES, SIMILAR, TOGETHER
from recs_assets.app.ui.questions import Questions
from recs_assets.app.ui.results_page import RESULTS
from recs_assets.app.ui.state import State
from recs_assets.app.ui.table import write_csv
from recs_assets.app.ui.week_page import DATA
from recs_assets.store.warehouse import Warehouse
from recs_assets.templates import render
from recs_assets.views import audit, emails
from recs_assets.views.customers import draw_customer
from recs_assets.views.desk import AwayError, Desk, MissingError
from recs_assets.views.pseudonyms import Pseudonyms, load_key

if TYPE_CHECKING:
    from recs_assets.settings import Settings

PREFIX = "/ui"
PAGES = {
    page.name: page
    for page in (PLAYGROUND, JOURNEY, EMAIL, TIMELINE, TOGETHER, SIMILAR, RULES, AUDIT, DATA, RESULTS)
}
STATIC = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing from another host, no script and no style but those beside this file.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
# An email, and the report of the audit, bring their styles; its pictures are fetched only when somebody asks for them.
EMAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src {}; frame-ancestors 'self'; sandbox"
MOST_FORM_BYTES = 4_096
# Of DuckDB: the shop's pages are answered by the same process.
MEMORY = "1GB"
log = logging.getLogger(__name__)


def make_desk(settings: Settings) -> Desk:
    """The desk of a deployment."""
    key = None
    if not settings.show_customer_ids:
        secret = settings.hash_key
        key = load_key(settings.home, None if secret is None else secret.get_secret_value())
    return Desk(Warehouse(settings.home, settings.threads, MEMORY), Pseudonyms(key))


def make_ui(desk: Desk, questions: Questions) -> APIRouter:
    """The router of the pages, for an application to include behind a role."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)

    @router.get("")
    @router.get("/")
    def home() -> Response:
        return _respond(desk, None, State({}), lambda look: Shown(_describe_week(look)))

    @router.get("/static/{name}")
    def static(name: str, request: Request) -> Response:
        return _send_file(name, request.headers.get("if-none-match"))

    @router.post("/find")
    async def find(request: Request) -> Response:
        """To the page of a customer whose id or pseudonym was typed: in the body, because addresses are logged."""
        body = await request.body()
        if len(body) > MOST_FORM_BYTES:
            return PlainTextResponse("That is longer than any id.", 413)
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return _find(desk, form.get("page", ""), form.get("customer", ""), form.get("rest", ""))

    @router.get("/draw")
    def draw(page: str = "", segment: str | None = None) -> Response:
        """To the page of any customer, of a segment where one is named."""
        try:
            with desk.look() as look:
                drawn = draw_customer(look, None if segment in (None, "*") else segment)
                named = None if drawn is None else look.name(drawn)
        except MissingError:
            named = None
        return _go(page, {} if named is None else {"customer": named, "segment": segment or ""})

    @router.get("/email/frame")
    def frame(request: Request) -> Response:
        state = State(request.query_params)
        try:
            with desk.look() as look:
                asked = state.text("campaign"), state.text("customer"), bool(state.text("pictures"))
                page = emails.preview(look, *asked)
        except MissingError as error:
            return PlainTextResponse(str(error), _find_status(error, 404))
        pictures = "http: https:" if state.text("pictures") else "'none'"
        return HTMLResponse(page, headers=_headers(EMAIL_POLICY.format(pictures)))

    @router.get("/audit/report")
    def report() -> Response:
        """The audit as one page, which brings its styles."""
        try:
            with desk.look() as look:
                page = audit.write_report(look)
        except MissingError as error:
            return PlainTextResponse(str(error), _find_status(error, 404), _headers(POLICY))
        return HTMLResponse(page, headers=_headers(EMAIL_POLICY.format("'none'")))

    @router.get("/playground/answer")
    def answer(request: Request) -> Response:
        """A predictive query, answered by a process of its own."""
        state = State(request.query_params)
        try:
            with desk.look() as look:
                customer = look.find_customer(state.text("customer")) if state.text("customer") else None
                name = look.name
        except MissingError as error:
            return PlainTextResponse(str(error), _find_status(error, 404), _headers(POLICY))
        answered = questions.ask(state.text("query", most=2_000), customer)
        if request.query_params.get("format") == "csv":
            return _send_csv("answer", answered.rows, name)
        values = {"answer": answered, "name": name, "state": state}
        return HTMLResponse(_fill("answer", values), headers=_headers(POLICY))

    @router.get("/{name}")
    def show(name: str, request: Request) -> Response:
        page = PAGES.get(name)
        if page is None:
            return HTMLResponse(
                _page(None, State({}), {}, ["There is no such view."], 404), 404, _headers(POLICY)
            )
        state = State(request.query_params)
        csv = request.query_params.get("format") == "csv"
        return _respond(desk, page, state, lambda look: page.read(look, state), csv)

    return router


def _respond(desk: Desk, page: Page | None, state: State, read: Any, csv: bool = False) -> Response:
    """What a page reads, as HTML or as CSV; where something is missing, the sentence that says what."""
    started, status = time.perf_counter(), 200
    try:
        with desk.look() as look:
            shown = read(look)
            if csv:
                return _send_csv(f"{page.name if page else 'views'}-{look.week}", shown.table, look.name)
            values = {"week": look.week, "name": look.name, "table": bool(shown.table), **shown.values}
            text = _page(page, state, values, shown.notes)
    except MissingError as error:
        status = _find_status(error, 200)
        text = _page(page, state, {}, [str(error)], status)
    took = 1000 * (time.perf_counter() - started)
    headers = {**_headers(POLICY), "Server-Timing": f"view;dur={took:.1f}"}
    return HTMLResponse(text, status, headers)


def _find_status(error: MissingError, otherwise: int) -> int:
    """Files that are away come back: what watches the server is to see that it cannot answer meanwhile."""
    return 503 if isinstance(error, AwayError) else otherwise


def _page(
    page: Page | None, state: State, values: dict[str, Any], notes: list[str], status: int = 200
) -> str:
    shown = {
        "page": page,
        "pages": PAGES,
        "state": state,
        "notes": notes,
        "empty": not values,
        "status": status,
    }
    return _fill("empty" if not values else page.name if page else "home", {**values, **shown})


def _fill(template: str, values: dict[str, Any]) -> str:
    common = {"prefix": PREFIX, "words": words, "charts": charts, "asset": _address}
    return render(f"app/ui/templates/{template}.html.j2", **common, **values)


def _describe_week(look: Any) -> dict[str, Any]:
    return {
        "counts": look.row(
            "select (select count(*) from recs.customers) as customers, (select count(*) from recs.products) as products, "
            "(select count(*) from recs.baskets) as orders, (select count(*) from recs.email_recommendations "
            "where as_of = $week) as email_rows",
            {"week": look.week},
        ),
        "gates": look.row(
            "select count(*) filter (passed) as passed, count(*) as gates from recs.gates where as_of = $week",
            {"week": look.week},
        ),
    }


def _find(desk: Desk, page: str, customer: str, rest: str) -> Response:
    try:
        with desk.look() as look:
            found = look.find_customer(customer)
            # Nobody is called so: the page says it, and what was typed stays out of the address.
            named = look.name(found) if found is not None else "nobody"
    except MissingError:
        named = ""
    kept = {name: values[0] for name, values in parse_qs(rest.removeprefix("?")).items()}
    return _go(page, {**kept, "customer": named})


def _go(page: str, parameters: dict[str, str]) -> Response:
    name = page if page in PAGES else PLAYGROUND.name
    query = urlencode({key: value for key, value in parameters.items() if value})
    return RedirectResponse(f"{PREFIX}/{name}" + (f"?{query}" if query else ""), 303)


def _send_csv(name: str, rows: list[dict[str, Any]], called: Any) -> Response:
    headers = {**_headers(POLICY), "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(write_csv(rows, called), headers=headers, media_type="text/csv; charset=utf-8")


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }


@cache
def _load_files() -> dict[str, tuple[bytes, str]]:
    """The files beside the pages, with a hash of each."""
    found = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in KINDS}
    return {name: (content, sha256(content).hexdigest()[:16]) for name, content in found.items()}


def _address(name: str) -> str:
    """The address of a file, which changes with its content."""
    return f"{PREFIX}/static/{name}?v={_load_files()[name][1]}"


def _send_file(name: str, known: str | None) -> Response:
    if name not in _load_files():
        return PlainTextResponse("There is no such file.", 404)
    content, version = _load_files()[name]
    headers = {
        "ETag": f'"{version}"',
        "Cache-Control": "public, max-age=86400",
        "X-Content-Type-Options": "nosniff",
    }
    if known == f'"{version}"':
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=KINDS[Path(name).suffix])

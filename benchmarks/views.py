"""What every view takes on a finished home, as a Markdown table; nothing is written into it.

    python -m benchmarks.views HOME [--rounds N]

In one process, over the ASGI interface: reading and writing the page, without a network. `first look` is that after the start;
the others are the median and the slowest of N rounds over several customers, the one with the most order lines among them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from fastapi.testclient import TestClient

from recs_assets.app.ui import Views
from recs_assets.app.ui.router import make_desk
from recs_assets.settings import Settings
from recs_assets.views import customers, journey, lists, products, similar, timeline
from recs_assets.views.desk import MissingError

# Looking at it, of every view; no page may take longer.
LIMIT_MS = 1_000


def choose_addresses(settings: Settings) -> tuple[list[tuple[str, str]], list[str]]:
    """What is asked, as (view, address), `{}` for a customer; and customers to ask it of."""
    desk = make_desk(settings)
    with desk.look() as look:
        heavy = look.row(
            "select customer_id from recs.order_lines where customer_id is not null "
            "group by all order by count(*) desc, customer_id limit 1"
        )
        people = [heavy["customer_id"], *(row["customer_id"] for row in customers.sample_customers(look, 4))]
        product = products.draw_product(look) or ""
        cart = [row["neighbour_id"] for row in look.rows(
            "select neighbour_id from recs.frequently_bought_together where product_id = $product order by rank limit 2",
            {"product": product},
        )]  # fmt: skip
        categories = products.list_categories(look)
        days = [week["day"] for week in lists.list_weeks(look)]
        models = timeline.list_models(look)
        campaigns = journey.list_campaigns(look)
        names = [quote(look.name(customer)) for customer in people]
    desk.close()
    category, kinds = (categories or [""])[0], list(similar.KINDS)
    asked = [
        ("home", "", {}),
        ("playground", "/playground", {}),
        *(("playground", "/playground?customer={}", more) for more in (
            {}, {"view": "new", "k": 50}, *({"week": day} for day in days[1:]), {"format": "csv"})),
        *(("journey", "/journey?customer={}", more) for more in (
            *({"campaign": name} for name in campaigns or [""]), {"product": product}, {"format": "csv"})),
        *(("email preview", f"/email{part}?customer={{}}", {"campaign": name})
          for name in campaigns for part in ("", "/frame")),
        *(("timeline", "/timeline?customer={}", {"model": model, "k": k}) for model in models for k in (8, 20)),
        *(("bought together", "/together", more) for more in (
            {}, {"cart": product}, {"cart": ",".join([product, *cart])}, {"q": "a"}, {"format": "csv"})),
        *(("similarity", "/similar", {"kind": kind, **more}) for kind in kinds for more in (
            {}, {"product": product}, {"category": category}, {"q": "a"}, {"format": "csv"})),
        *(("rules", "/rules", more) for more in (
            {}, {"lift": 2, "order": "support"}, {"category": category, "order": "confidence"}, {"q": "a", "rows": 500},
            {"order": "surprise", "format": "csv"})),
        *(("data and models", "/data", {"part": part, **more})
          for part in ("models", "gates", "data", "waterfall", "rules", "forecasts") for more in ({}, {"format": "csv"})),
        *(("results", "/results", more) for more in ({}, {"area": "lists"}, {"format": "csv"})),
        ("draw a customer", "/draw?page=playground", {}),
    ]  # fmt: skip
    addresses = [
        (view, path + (("&" if "?" in path else "?") + urlencode(more) if more else ""))
        for view, path, more in asked
    ]
    return addresses, names


def measure(home: Path, rounds: int) -> dict[str, list[tuple[float, str]]]:
    """View -> milliseconds and address of every look, the first of all under "first look"."""
    # With a secret of its own no key is written into the home.
    settings = Settings(home=home, hash_key="benchmarks.views", show_customer_ids=False)
    addresses, names = choose_addresses(settings)
    views, took = Views(settings), {}
    with TestClient(views, base_url="http://127.0.0.1", follow_redirects=False) as client:

        def look(view: str, address: str) -> None:
            started = time.perf_counter()
            answer = client.get(f"/ui{address}")
            seconds = time.perf_counter() - started
            if answer.status_code not in (200, 303, 404):
                raise SystemExit(f"{address}: {answer.status_code}")
            took.setdefault(view, []).append((1000 * seconds, address))

        client.get("/ui/static/none")  # imports what the pages need
        look("first look", "/playground?customer=" + names[0])
        for _ in range(rounds):
            for view, address in addresses:
                for name in names if "{}" in address else names[:1]:
                    look(view, address.replace("{}", name))
    views.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parsed = parser.parse_args()
    try:
        took = measure(parsed.home, parsed.rounds)
    except MissingError as error:
        raise SystemExit(str(error)) from error
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    lines = [
        load,
        "",
        "| view | addresses | median ms | slowest ms | slowest address |",
        "|---|---:|---:|---:|---|",
    ]
    for view, looks in took.items():
        slowest, address = max(looks)
        median = statistics.median(milliseconds for milliseconds, _ in looks)
        count = len({address for _, address in looks})
        mark = " **too slow**" if slowest > LIMIT_MS and view != "first look" else ""
        lines.append(f"| {view} | {count} | {median:.0f} | {slowest:.0f}{mark} | `{address}` |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

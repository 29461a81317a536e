"""Milliseconds, requests per second and memory of the server, over loopback, with all filters on.

    python -m benchmarks.serving                         200,000 customers x 12, 20,000 products; 8 and 64 clients
    python -m benchmarks.serving --quick                 a tenth of it, to see that it runs
    python -m benchmarks.serving --kill 100              rounds of kill -9 over the event log

A closed loop: every client asks again when it has its answer. The clients are one process on the same machine as the
server, which is one process too. The store is synthetic and seeded. Of the requests, 60 of 100 are home lists, 15 product
pages, 15 carts, 5 due again, 5 visitors who are not signed in; every one is filtered by stock, sale window, country, cart,
exclusions, purchases and dismissals, and every fifth by category. `bare` is FastAPI on the same server that answers a
constant of the same length: what the framework costs. During `switches`, two versions take turns as the current one, and
an answer whose week and titles are not of one version counts as mixed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import orjson

from recs_assets.serving.event_log import EventLog, read_records
from recs_assets.serving.publish import CARD, FOLDER, write_store
from recs_assets.serving.store import BLOCK, FACTS, FILE, FORMAT

LIST, AGAIN, NEIGHBOURS = 12, 6, 12
CATEGORIES, BRANDS, SEGMENTS = 300, 1_000, 8
WEEKS = ("2025-06-23", "2025-06-30")
CLIENTS = (8, 64)
SEED = 20_250_630


# -- a store ------------------------------------------------------------------------------------


def write_synthetic(path: Path, customers: int, products: int, week: str) -> None:
    """A store of the size that is asked for; titles begin with the week."""
    rng = np.random.default_rng(SEED)
    weights = 1 / np.arange(1, products + 1)
    popular = rng.permutation(products)

    def draw(n: int) -> np.ndarray:
        return popular[
            np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n)).clip(0, products - 1)
        ]

    popularity = np.empty(products)
    popularity[popular] = weights * 1e5
    category, brand = rng.integers(0, CATEGORIES, products), rng.integers(0, BRANDS, products)
    price = np.round(rng.lognormal(1.5, 0.8, products), 2)
    columns: dict[str, list[Any]] = {
        **{name: [None] * products for name in FACTS},
        "product_id": [f"product-{n}" for n in range(products)],
        "name": [f"{week} product {n}" for n in range(products)],
        "category": [f"category {n}" for n in category],
        "brand": [f"brand {n}" for n in brand],
        "price": price.tolist(),
        "cost": (price * rng.uniform(0.4, 0.9, products)).tolist(),
        "stock": np.where(rng.random(products) < 0.05, 0.0, 20.0).tolist(),
        "end_at": [1.0 if n % 50 == 0 else None for n in range(products)],
        "parent_id": [f"parent {n // 3}" if n % 10 < 3 else None for n in range(products)],
        "countries": ["DE AT" if n % 40 == 0 else None for n in range(products)],
        "popularity": popularity.tolist(),
        "never_offer": [False] * products,
        "never_discover": [n % 200 == 0 for n in range(products)],
        "url": [f"https://shop.example/p/{n}" for n in range(products)],
    }

    def list_products() -> Iterator[tuple[int, bytes, bytes, bytes]]:
        near = rng.integers(0, products, (products, 2, NEIGHBOURS))
        score = np.sort(rng.random((products, 2, NEIGHBOURS)).round(4))[:, :, ::-1]
        for n in range(products):
            card = {
                name: columns["name" if name == "title" else name][n]
                if name in columns or name == "title"
                else None
                for name in CARD
            }
            lists = [
                [
                    [
                        int(near[n, kind, i]),
                        float(score[n, kind, i]),
                        f"In 12% of the baskets with product {n}",
                        f"{n:08x}{kind}{i:011x}",
                    ]
                    for i in range(NEIGHBOURS)
                ]
                for kind in range(2)
            ]
            yield n, orjson.dumps(card), orjson.dumps(lists[0]), orjson.dumps(lists[1])

    def list_customers() -> Iterator[tuple[Any, ...]]:
        for first in range(0, customers, 10_000):
            size = min(10_000, customers - first)
            mine = draw(size * LIST * 2).reshape(size, LIST * 2)
            chances = np.sort(rng.beta(1, 8, (size, LIST)).round(6))[:, ::-1]
            tastes = rng.integers(0, len(set(category.tolist())), (size, 10))
            for i in range(size):
                own = list(dict.fromkeys(mine[i].tolist()))[:LIST]
                rows = [
                    [
                        code,
                        float(p),
                        float(p),
                        "ranker",
                        "bought_often",
                        "You bought this on 24 days, last on 21 Dec 2024",
                        None,
                        f"{first + i:010x}{rank:010x}",
                    ]
                    for rank, (code, p) in enumerate(zip(own, chances[i], strict=False))
                ]
                again = [
                    [code, p, p, "bought_regularly", "You buy this about every 15 days", identifier]
                    for code, p, _, _, _, _, _, identifier in rows[:AGAIN]
                ]
                shares = [[int(label), 0.1] for label in dict.fromkeys(tastes[i].tolist())]
                number = first + i
                yield (
                    f"customer-{number}",
                    "DE" if number % 2 else "US",
                    f"segment {number % SEGMENTS}",
                    orjson.dumps(rows),
                    orjson.dumps(again),
                    orjson.dumps(shares),
                    0,
                    f"customer-{number}",
                )

    about = {
        "format": FORMAT,
        "as_of": week,
        "run_id": "run",
        "model_version": "ranker",
        "begins_at": time.time() - 86_400,
        "counted_at": time.time() - 3_600,
    }
    blocks = (
        {name: values[first : first + BLOCK] for name, values in columns.items()}
        for first in range(0, products, BLOCK)
    )
    segments = [(f"segment {n}", orjson.dumps(draw(400)[:200].tolist())) for n in range(SEGMENTS)]
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        write_store(store, about, blocks, list_products(), segments, list_customers())


def point_at(home: Path, week: str) -> None:
    aside = home / FOLDER / ".next"
    aside.symlink_to(Path("versions") / week)
    aside.replace(home / FOLDER / "current")


# -- servers ------------------------------------------------------------------------------------


def run_server(home: Path, port: int, length: int) -> None:
    """In a process of its own: the server, or with `length` the bare framework."""
    import uvicorn

    if length:
        from fastapi import FastAPI, Response

        app, body = FastAPI(), b"x" * length

        @app.get("/health/live")
        @app.get("/constant")
        async def constant() -> Response:
            return Response(body, media_type="application/json")
    else:
        from recs_assets.app.guard import Limits
        from recs_assets.app.server import create_app
        from recs_assets.serving.placement import load_folder
        from recs_assets.serving.service import open_service

        service = open_service(home, load_folder(), lambda: lambda _: False, 8)
        app = create_app(service, Limits({}, rate=1e9))
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning", server_header=False)


@contextmanager
def start(home: Path, length: int = 0) -> Iterator[tuple[int, subprocess.Popen]]:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving", "--serve", str(home), str(port), str(length)]
    )
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/health/live", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def measure_memory(process: subprocess.Popen) -> float:
    import psutil

    return psutil.Process(process.pid).memory_info().rss / 1e6


# -- clients ------------------------------------------------------------------------------------


def write_requests(customers: int, products: int, n: int) -> list[bytes]:
    """The mixture of the module's first lines."""
    rng = np.random.default_rng(SEED + 1)
    who, what = rng.integers(0, customers, n), rng.integers(0, products, (n, 4))
    requests = []
    for i, share in enumerate(rng.random(n)):
        ids = [f"product-{code}" for code in what[i]]
        narrow = f"&category=category+{what[i, 0] % CATEGORIES}" if i % 5 == 0 else ""
        common = f"exclude={ids[2]}&country={'DE' if i % 2 else 'US'}{narrow}"
        base = f"/v1/customers/customer-{who[i]}/"
        if share < 0.6:
            path = f"{base}recommendations?placement=home&n=12&cart={ids[0]},{ids[1]}&{common}"
        elif share < 0.75:
            path = f"{base}recommendations?placement=product&context={ids[3]}&cart={ids[0]}&{common}"
        elif share < 0.9:
            path = f"{base}recommendations?placement=cart&cart={ids[0]},{ids[1]},{ids[3]}&{common}"
        elif share < 0.95:
            path = f"{base}buy-again?cart={ids[0]}&{common}"
        else:
            body = orjson.dumps(
                {
                    "placement": "home",
                    "session_id": f"s{i}",
                    "country": "DE",
                    "events": [{"type": "view", "product_id": code} for code in ids],
                }
            )
            head = f"POST /v1/sessions/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            requests.append(head.encode() + body)
            continue
        requests.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return requests


async def ask_all(port: int, requests: list[bytes], clients: int, keep: bool = False) -> dict[str, Any]:
    """Ask everything once, `clients` at a time; milliseconds, statuses and, if asked for, the answers."""
    waiting, seconds, statuses, answers = iter(requests), [], Counter(), []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            started = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.index(b"content-length:") + 15
            body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
            seconds.append(time.perf_counter() - started)
            statuses[int(head[9:12])] += 1
            if keep:
                answers.append(body)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - started
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    return {
        "rps": len(requests) / took,
        "p50": p50,
        "p99": p99,
        "statuses": dict(statuses),
        "answers": answers,
    }


def run_clients(port: int, requests: list[bytes], clients: int, keep: bool = False) -> dict[str, Any]:
    import uvloop

    return uvloop.run(ask_all(port, requests, clients, keep))


def report_events(port: int, customers: int, products: int) -> None:
    """Something to filter: purchases, dismissals and carts of 2,000 people."""
    rng = np.random.default_rng(SEED + 2)
    for first in range(0, 2_000, 400):
        events = [
            {"event_id": f"e{n}", "type": ("purchased", "dismissed", "added_to_cart")[n % 3], "placement": "home",
             "customer_id": f"customer-{rng.integers(0, customers)}", "product_id": f"product-{rng.integers(0, products)}"}
            for n in range(first, first + 400)
        ]  # fmt: skip
        body = orjson.dumps({"events": events})
        head = f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        assert run_clients(port, [head.encode() + body], 1)["statuses"] == {202: 1}


def is_mixed(answer: bytes) -> bool:
    """Whether an answer's titles are of another week than it says."""
    found = json.loads(answer)
    return any(not item["card"]["title"].startswith(found["as_of"]) for item in found["items"])


def measure_switches(home: Path, port: int, requests: list[bytes], switches: int) -> None:
    """Two versions take turns while 8 clients ask."""
    stop = []

    async def turn() -> dict[str, Any]:
        asking = asyncio.create_task(ask_all(port, requests, 8, keep=True))
        done = 0
        while not asking.done():
            await asyncio.sleep(0.05)
            served = orjson.loads(
                await asyncio.to_thread(
                    lambda: urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=30).read()
                )
            )
            if served["version"] == WEEKS[done % 2 ^ 1] and done < switches:
                point_at(home, WEEKS[done % 2])
                done += 1
        stop.append(done)
        return await asking

    import uvloop

    found = uvloop.run(turn())
    wrong = sum(count for status, count in found["statuses"].items() if status != 200)
    mixed = sum(map(is_mixed, found["answers"]))
    weeks = Counter(orjson.loads(answer)["as_of"] for answer in found["answers"])
    print(
        f"| {len(requests):,} requests, {stop[0]} switches | {found['rps']:,.0f} | {found['p50']:.1f} | {found['p99']:.1f} | {wrong} errors, {mixed} mixed; answers by week {dict(sorted(weeks.items()))} |"
    )


# -- kill -9 ------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from recs_assets.serving.event_log import EventLog
log, number = EventLog(Path(sys.argv[1])), 0
while True:
    waiting = [log.append([("campaign_events", {"event_id": f"{sys.argv[2]}-{number + i}"})]) for i in range(20)]
    for i, done in enumerate(waiting):
        done.result()
        print(f"{sys.argv[2]}-{number + i}", flush=True)
    number += 20
"""


def measure_kills(rounds: int) -> None:
    """Kill a writer at a random moment, `rounds` times, and look for what it had acknowledged."""
    rng, acknowledged = np.random.default_rng(SEED), set()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for number in range(rounds):
            process = subprocess.Popen(
                [sys.executable, "-c", WRITER, folder, str(number)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(int(rng.integers(1, 500))):
                acknowledged.add(process.stdout.readline().strip())
            process.kill()
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
            process.wait()
        EventLog(home).close()
        from datetime import UTC, datetime

        there = [
            row["event_id"] for _, row in read_records(home / "events", datetime(2000, 1, 1, tzinfo=UTC), {})
        ]
        print(
            f"{rounds} rounds of kill -9: {len(acknowledged):,} acknowledged, {len(acknowledged - set(there))} lost, {len(there) - len(set(there))} twice"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", nargs=3, metavar=("HOME", "PORT", "LENGTH"), help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--kill", type=int, metavar="ROUNDS", help="only the event log")
    parser.add_argument("--requests", type=int, default=20_000)
    parsed = parser.parse_args()
    if parsed.serve:
        home, port, length = parsed.serve
        run_server(Path(home), int(port), int(length))
        return
    if parsed.kill:
        measure_kills(parsed.kill)
        return
    scale = 10 if parsed.quick else 1
    customers, products, n = 200_000 // scale, 20_000 // scale, parsed.requests // (20 if parsed.quick else 1)
    folder = Path(tempfile.mkdtemp(prefix="recs-serving-"))
    try:
        started = time.time()
        for week in WEEKS:
            write_synthetic(folder / FOLDER / "versions" / week / FILE, customers, products, week)
        size = (folder / FOLDER / "versions" / WEEKS[0] / FILE).stat().st_size
        print(
            f"{customers:,} customers x {LIST}, {products:,} products: {size / 1e6:,.0f} MB, two written in {time.time() - started:.0f} s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        point_at(folder, WEEKS[1])
        requests = write_requests(customers, products, n)
        rates: dict[int, float] = {}
        print("| what | requests/s | p50 ms | p99 ms | |\n|---|---:|---:|---:|---|")
        with start(folder) as (port, process):
            report_events(port, customers, products)
            run_clients(port, requests[: n // 10], 8)  # a few cards and neighbours are decoded
            length = len(run_clients(port, requests[:1], 1, keep=True)["answers"][0])
            for clients in CLIENTS:
                found = run_clients(port, requests, clients)
                rates[clients] = found["rps"]
                print(
                    f"| {clients} clients | {found['rps']:,.0f} | {found['p50']:.1f} | {found['p99']:.1f} | {measure_memory(process):,.0f} MB; {found['statuses']} |",
                    flush=True,
                )
            measure_switches(folder, port, requests, 20)
            print(f"| | | | | {measure_memory(process):,.0f} MB after the switches |", flush=True)
        constant = [b"GET /constant HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"] * n
        with start(folder, length) as (port, process):
            run_clients(port, constant[: n // 10], 8)
            for clients in CLIENTS:
                found = run_clients(port, constant, clients)
                print(
                    f"| bare, {clients} clients | {found['rps']:,.0f} | {found['p50']:.1f} | {found['p99']:.1f} | {found['rps'] / rates[clients]:.2f} times as many |",
                    flush=True,
                )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

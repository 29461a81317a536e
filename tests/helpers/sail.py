"""Sail, the engine without Java, as a server of its own."""

from __future__ import annotations

import sys

from helpers.servers import Server, free_port
from helpers.shops import ROOT
from recs_assets.engine.session import require_engine

# Its functions of Python run in its process, too, with the project as it is here.
SAIL = """
import sys
sys.path.insert(0, sys.argv[2])
from pysail.spark import SparkConnectServer
SparkConnectServer(ip="127.0.0.1", port=int(sys.argv[1])).start(background=False)
"""


def start_sail() -> Server:
    """A server on 127.0.0.1 that answers; the caller kills it. Its address holds a secret."""
    port = free_port()
    url = f"sc://127.0.0.1:{port}/;x-shop=secret-of-the-engine"
    return Server(
        [sys.executable, "-c", SAIL, str(port), str(ROOT)], port, url, ready=lambda: require_engine(url)
    )

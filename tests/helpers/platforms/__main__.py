"""Write a made-up export: `PYTHONPATH=tests python -m helpers.platforms NAME FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from helpers.platforms import WRITERS

name, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
WRITERS[name](folder)

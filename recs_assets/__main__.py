"""`python -m recs_assets`."""

import sys

from recs_assets.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

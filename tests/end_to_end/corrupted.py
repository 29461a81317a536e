"""The weekly command with a ranker that learns the opposite: what was bought counts as not bought."""

import sys

from recs_assets.cli.main import main
from recs_assets.ranking.ranker import Ranker

fit = Ranker.fit


def inverted(self, X, y, group, features, **more):
    if more.get("valid") is not None:
        frame, label, groups = more["valid"]
        more["valid"] = (frame, 1 - label, groups)
    return fit(self, X, 1 - y, group, features, **more)


Ranker.fit = inverted
sys.exit(main(sys.argv[1:]))

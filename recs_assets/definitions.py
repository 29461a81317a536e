"""The one Definitions object Dagster loads."""

from recs_assets.defs import build_definitions
from recs_assets.schema import RecsError

# What is wrong with a setting or a file is in the sentence and not in the code that noticed it, so this
# error shows no frames: Dagster prints `Error: <sentence>` wherever it reports that the code did not load.
Error = type(
    "Error",
    (Exception,),
    {"__module__": "builtins", "__traceback__": property(lambda self: None, lambda self, frames: None)},
)

try:
    defs = build_definitions()
except RecsError as error:
    raise Error(str(error)) from None

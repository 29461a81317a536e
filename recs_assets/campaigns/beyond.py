"""What a block of customers must know of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from recs_assets.rules.blocks import place_accounts
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.exposure import Price


@dataclass(frozen=True)
class Beyond:
    """What a block of customers must know of the others (`rules.blocks`).

    Attributes:
        accounts: of the whole shop, as `weigh_accounts` gives them; None: it is not known yet.
        reach: as `find_reach` gives it, with it.
        exposed: the prices of the floors of exposure, customers by their codes in the whole shop.
        last: expected spend and code of the last recipient of `max_recipients`, with it; None: nobody asks.
    """

    accounts: pd.DataFrame | None
    reach: Mapping[str, Mapping[str, int]] | None
    exposed: Sequence[Price] | None
    last: tuple[float, int] | None = None

    def tell(self, context: Context, rules: Rules, first_code: int) -> Context:
        """The context of a block with it.

        Args:
            context: of the block.
            rules: of the lists.
            first_code: in the whole shop, of the block's first customer.
        """
        if self.accounts is not None:
            context = place_accounts(context, rules, self.accounts, first_code)
        worth = context.worth
        if worth is not None and self.last is not None:
            spend, code = self.last
            context = replace(context, worth=replace(worth, last=(spend, code - first_code)))
        exposed = self.exposed
        if exposed is not None:
            exposed = tuple(price.shift(first_code) for price in exposed)
        return replace(context, reach=self.reach, exposed=exposed)

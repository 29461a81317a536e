"""One customer of a finished week, from their orders to the email: a marimo notebook.

    make notebook                                         the tiny shop's week, and this page in the browser
    python examples/notebook/one_customer.py --customer c05    the same as text

It reads what a home has published and kept, with the functions that the views of `serve` are made of, and writes nothing.
RECS_HOME says which home.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="One customer, from their orders to the email")


@app.cell
def _():
    import sys

    import marimo as mo
    import pandas as pd

    from recs_assets.schema import RecsError
    from recs_assets.settings import Settings
    from recs_assets.store.warehouse import Warehouse
    from recs_assets.views import customers, emails, health, journey, lists
    from recs_assets.views.desk import Desk
    from recs_assets.views.pseudonyms import Pseudonyms

    as_text = mo.app_meta().mode == "script"

    def show(title, text, rows, columns):
        """A heading, what to see there, and a table; as text where the notebook runs as a script."""
        table = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=columns)
        if as_text:
            print(f"\n{title}\n\n{text}\n\n{table.fillna('').to_string(index=False) if rows else ''}")
            return None
        return mo.vstack([mo.md(f"## {title}\n\n{text}"), mo.ui.table(table, selection=None, page_size=20)])

    return (
        Desk,
        Pseudonyms,
        RecsError,
        Settings,
        Warehouse,
        as_text,
        customers,
        emails,
        health,
        journey,
        lists,
        mo,
        show,
        sys,
    )


@app.cell
def _(Desk, Pseudonyms, RecsError, Settings, Warehouse, as_text, customers, emails, mo, sys):
    settings = Settings()
    # On your own machine customers may be called by their ids; `serve` shows pseudonyms.
    desk = Desk(Warehouse(settings.home, threads=1, memory_limit="1GB"), Pseudonyms(None))

    def refuse(sentence):
        """Nothing below it is shown."""
        if as_text:
            print(f"Error: {sentence}", file=sys.stderr)
            sys.exit(1)
        mo.stop(True, mo.md(sentence))

    named = mo.cli_args().get("customer")
    named = None if named is None else str(named)
    try:
        with desk.look() as _look:
            names = [row["customer_id"] for row in customers.sample_customers(_look, 40)]
            campaigns = [row["campaign"] for row in emails.list_campaigns(_look)]
            known = named is None or _look.rows(
                "select 1 from recs.customers where customer_id = $customer", {"customer": named}
            )
    except RecsError as error:
        refuse(str(error))
    if not known:
        refuse(
            f"There is no customer {named} in {settings.home}; there are {', '.join(sorted(names)[:5])} and others."
        )
    if not names:
        refuse(f"Nobody in {settings.home} has bought anything: run a week with orders.")
    campaign = campaigns[0] if campaigns else None
    chosen = mo.ui.dropdown(
        sorted({*names, *([named] if named else [])}), value=named or sorted(names)[0], label="Customer"
    )
    mo.vstack([mo.md("# One customer, from their orders to the email"), chosen])
    return campaign, chosen, desk


@app.cell
def _(chosen, customers, desk, show):
    customer = chosen.value
    with desk.look() as _look:
        week = _look.week
        about = customers.describe_customer(_look, customer)
        bought = customers.list_bought(_look, customer)
    show(
        f"1. What is known of {customer} on {week}",
        f"{about['profile']['order_count']} orders of {len(bought)} products; nothing after the midnight on which {week} begins counts. "
        "The products bought on most days:",
        about["favourites"],
        ["product_id", "product_name", "category", "days", "last_bought"],
    )
    return bought, customer, week


@app.cell
def _(bought, customer, desk, lists, show, week):
    approaches = {
        "rules": "association rules",
        "user_knn": "collaborative",
        "content": "content",
        "lightfm": "hybrid",
    }
    with desk.look() as _look:
        found = lists.load_lists(_look, customer, week, k=5)

    def _name(row):
        return row["product_name"] + (" (again)" if row["product_id"] in bought else "")

    side_by_side = [
        {
            "rank": rank,
            **{
                label: next((_name(row) for row in found.get(model, []) if row["rank"] == rank), "")
                for model, label in approaches.items()
            },
        }
        for rank in range(1, 6)
    ]
    show(
        "2. Four classic approaches",
        "Association rules know what lies in one basket, collaborative filtering (`user_knn`) what similar people buy, content what "
        "reads alike, and the hybrid (LightFM) both at once. (again): bought before.",
        side_by_side,
        ["rank", *approaches.values()],
    )
    return approaches, found


@app.cell
def _(customer, desk, found, show, week):
    with desk.look() as _look:
        traces = _look.rows(
            "select product_id, p_purchase, sources, families from recs.recommendation_traces "
            "where as_of = $week and customer_id = $customer",
            {"week": week, "customer": customer},
        )
    trace = {row["product_id"]: row for row in traces}

    def _explain(row):
        known = trace.get(row["product_id"], {"p_purchase": None, "sources": None, "families": None})
        chance = row["p_purchase"] if row["p_purchase"] is not None else known["p_purchase"]
        sources = [one["source"] for one in known["sources"] or []][:3]
        families = [
            one["family"].replace("_", " ") for one in known["families"] or [] if one["contribution"] > 0
        ][:2]
        return {
            "rank": row["rank"],
            "product": row["product_name"],
            "probability": "" if chance is None else f"{chance:.1%}",
            "proposed best by": ", ".join(sources),
            "what speaks for it": ", ".join(families),
        }

    show(
        "3. The ranker",
        "All recommenders propose; a learned model orders what they propose, and says how likely each product is to be bought. It makes "
        "the lists only where it is proven to beat the simpler models (see 6). Without figures: a rule keeps it off the customer's pages.",
        [_explain(row) for row in found.get("ranker", [])],
        ["rank", "product", "probability", "proposed best by", "what speaks for it"],
    )
    return


@app.cell
def _(campaign, customer, desk, journey, show):
    with desk.look() as _look:
        asked = journey.list_products(_look, customer, campaign)
    counted = {}
    for _row in asked["removed"]:
        counted.setdefault(_row["rule"], []).append(_row["product_name"] or _row["product_id"])
    show(
        f"4. The rules of {campaign}",
        f"{len(asked['removed'])} candidates of {customer} may not stand in the email:",
        [
            {"rule": rule, "candidates": len(names), "such as": ", ".join(sorted(names)[:3])}
            for rule, names in sorted(counted.items())
        ],
        ["rule", "candidates", "such as"],
    )
    return


@app.cell
def _(campaign, customer, desk, emails, show):
    with desk.look() as _look:
        slots = emails.list_slots(_look, campaign, customer)
        why_none = None if slots else emails.explain_none(_look, campaign, customer)
    show(
        "5. The email",
        why_none
        or "First the products of the model that makes the email's lists, in its order, which is that of probability only where the ranker is "
        "that model; behind them the few slots that are kept for something new. Every row says why it is there.",
        slots,
        ["slot", "title", "category", "price", "slot_type", "reason_text"],
    )
    return (slots,)


@app.cell
def _(as_text, campaign, customer, desk, emails, mo, slots):
    if as_text or not slots:
        page = None
    else:
        with desk.look() as _look:
            page = mo.iframe(emails.preview(_look, campaign, customer), height="700px")
    page
    return


@app.cell
def _(approaches, desk, health, show):
    compared = {**approaches, "ranker": "ranker", "popularity": "the same for all"}
    with desk.look() as _look:
        metrics = [
            row for row in health.list_metrics(_look, "all", "map", 12) if row["recommender"] in compared
        ]
        decisions = health.list_decisions(_look)
    winner = decisions[-1]["chosen"] if decisions else "nobody"
    show(
        "6. Was it right?",
        "Each model made lists with what was known some weeks earlier, and was compared with what was bought then. MAP@12 is 1 where the "
        "lists begin with exactly that, and 0 where they hold none of it; beside it its 95 % interval over customers. The week's lists "
        f"are made by {winner}: the simplest model that no other is proven to beat.",
        [
            {
                "model": row["recommender"],
                "approach": compared[row["recommender"]],
                "MAP@12": f"{row['value']:.3f}",
                "interval": f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            }
            for row in metrics
        ],
        ["model", "approach", "MAP@12", "interval"],
    )
    return


if __name__ == "__main__":
    app.run()

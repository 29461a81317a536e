"""Which profiles are one person: matched between landing and staging."""

from collections.abc import Iterator

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.ingest import NOTES, raw_key
from recs_assets.defs.metadata import numbers
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.identity.match import load_profiles, match_profiles
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "customer_identities": "Whose each profile of a person with several is; staging puts the person in its place.",
    "customer_matches": "Pairs of profiles that are or may be one person, with their scores; for review.",
}


def identity_assets(deployment: Deployment) -> dg.AssetsDefinition:
    @model_tables(deployment, "match_profiles", "ingest", [raw_key("customers")], TABLES)
    def identities(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        week, words = deployment.week(warehouse, context), deployment.source.words
        with week.build.read() as connection:
            profiles = load_profiles(connection, week.as_of, words.guest_ids)
        with warehouse.scratch() as connection:
            matched = match_profiles(connection, profiles, words.identity)
        notes = [matched.sentence] if matched.sentence else []
        for note in notes:
            context.log.info(note)
        counts = {"profiles": matched.profiles, "people": matched.people, "waiting": matched.waiting}
        for table, rows in (("customer_identities", matched.identities), ("customer_matches", matched.pairs)):
            yield dg.MaterializeResult(
                asset_key=model_key(table),
                metadata={
                    **write_model_table(week, table, rows),
                    **numbers(counts),
                    **({NOTES: notes} if notes and table == "customer_identities" else {}),
                },
            )

    return identities

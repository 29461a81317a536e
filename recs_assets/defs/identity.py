"""Which profiles are one person: matched between landing and staging."""

from collections.abc import Iterator

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.ingest import NOTES, raw_key
from recs_assets.defs.metadata import numbers, table_metadata
from recs_assets.defs.results import model_key, model_tables
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.people import match_people

TABLES = {
    "customer_identities": "Whose each profile of a person with several is; staging puts the person in its place.",
    "customer_matches": "Pairs of profiles that are or may be one person, with their scores; for review.",
}


def identity_assets(deployment: Deployment) -> dg.AssetsDefinition:
    @model_tables(deployment, "match_profiles", "ingest", [raw_key("customers")], TABLES)
    def identities(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        week = deployment.week(warehouse, context)
        matched = match_people(week)
        notes = [matched.sentence] if matched.sentence else []
        for note in notes:
            context.log.info(note)
        counts = {"profiles": matched.profiles, "people": matched.people, "waiting": matched.waiting}
        for table in TABLES:
            with week.build.read() as connection:
                metadata = table_metadata(connection, "model", table)
            yield dg.MaterializeResult(
                asset_key=model_key(table),
                metadata={
                    **metadata,
                    **numbers(counts),
                    **({NOTES: notes} if notes and table == "customer_identities" else {}),
                },
            )

    return identities

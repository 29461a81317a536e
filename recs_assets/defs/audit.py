"""The audit of the data, right after the marts: two tables, a page, and the first that a run says of the shop."""

import dagster as dg

from recs_assets.audit import audit_build
from recs_assets.audit.findings import list_important, tabulate_findings, write_lines
from recs_assets.audit.report import write_page
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table, numbers
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.store.warehouse import Warehouse

TABLES = {
    "data_audit": "What the shop's data are worth: figures, verdicts, sentences.",
    "customer_segments": "The segment of every customer by recency, frequency and money.",
}
# What the audit reads; dbt builds nothing else for the command `audit`.
READS = {
    "marts": ("baskets", "customers", "interactions", "order_lines", "products"),
    "intermediate": ("int_not_products", "int_order_states", "int_quarantine_shares"),
}
# Name of the metadata that says it in sentences; the command line shows them.
AUDIT = "audit"


def audit_asset(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [dg.AssetKey([schema, table]) for schema, tables in READS.items() for table in tables]

    @model_tables(deployment, "audit", "audit", deps, TABLES)
    def audit(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week = deployment.week(warehouse, context)
        with week.build.read() as connection:
            findings, segments = audit_build(connection, week.as_of, min(week.anchors), deployment.source)
        page = write_page(
            warehouse.home / "quality" / context.run.run_id / "audit.html",
            findings,
            week.as_of,
            deployment.source.name,
        )
        important, _ = list_important(findings)
        shown = [[finding.verdict, finding.section, finding.sentence] for finding in important]
        yield dg.MaterializeResult(
            asset_key=model_key("data_audit"),
            metadata={
                **write_model_table(week, "data_audit", tabulate_findings(week.as_of, findings)),
                AUDIT: dg.MetadataValue.json(write_lines(findings)),
                "to_look_at": dg.MetadataValue.md(markdown_table(["verdict", "section", "sentence"], shown)),
                "page": dg.MetadataValue.path(page),
            },
        )
        yield dg.MaterializeResult(
            asset_key=model_key("customer_segments"),
            metadata={
                **write_model_table(week, "customer_segments", segments),
                **numbers(
                    {
                        name: int(count)
                        for name, count in segments["segment"].value_counts().sort_index().items()
                    }
                ),
            },
        )

    return audit

"""Where dbt builds when one machine does not hold the shop: Apache Spark over Spark Connect (docs/scale.md).

`RECS_ENGINE` names it. Where it is not set, nothing of this is imported.
"""

{{ config(meta={'dagster': {'ref': {'name': 'recall_waterfall'}}}) }}
-- Every purchase ended in exactly one stage.
select
    anchor,
    view,
    segment,
    k,
    sum(share) as shares
from {{ ref('recall_waterfall') }}
where source = 'all'
group by anchor, view, segment, k
having abs(sum(share) - 1) > 1e-6

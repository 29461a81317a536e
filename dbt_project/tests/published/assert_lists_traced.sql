{{ config(meta={'dagster': {'ref': {'name': 'recommendation_traces'}}}) }}
-- Every row of the customer lists can be traced, unless no ranker was trained: then there are no traces
-- at all.
with traces as (

    select * from {{ ref('recommendation_traces') }}

)

select
    listed.customer_id,
    listed.product_id
from {{ ref('customer_recommendations') }} as listed
left join traces on listed.customer_id = traces.customer_id and listed.product_id = traces.product_id
where traces.product_id is null and exists (select any_trace.product_id from traces as any_trace)

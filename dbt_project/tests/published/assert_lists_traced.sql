{{ config(meta={'dagster': {'ref': {'name': 'recommendation_traces'}}}) }}
-- Every published row can be traced, unless no ranker was trained: then there are no traces at all.
with listed as (

    select 'email_recommendations' as list, customer_id, product_id from {{ ref('email_recommendations') }}
    union all
    select 'customer_recommendations' as list, customer_id, product_id from {{ ref('customer_recommendations') }}

),

traces as (

    select * from {{ ref('recommendation_traces') }}

)

select listed.*
from listed
left join traces on listed.customer_id = traces.customer_id and listed.product_id = traces.product_id
where traces.product_id is null and exists (select 1 from traces)

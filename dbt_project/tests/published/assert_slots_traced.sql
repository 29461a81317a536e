{{ config(meta={'dagster': {'ref': {'name': 'campaign_traces'}}}) }}
-- Every slot of a campaign can be traced, also those that a rule filled: the campaign's ranker scores them,
-- too. A campaign without a ranker of its own (its query could not be answered) has no traces at all.
with traces as (

    select * from {{ ref('campaign_traces') }}

)

select
    listed.campaign,
    listed.customer_id,
    listed.product_id
from (
    select * from {{ ref('email_recommendations') }}
    union all
    select * from {{ ref('email_holdout') }}
) as listed
left join traces
    on
        listed.campaign = traces.campaign
        and listed.customer_id = traces.customer_id
        and listed.product_id = traces.product_id
where traces.product_id is null and listed.campaign in (select others.campaign from traces as others)

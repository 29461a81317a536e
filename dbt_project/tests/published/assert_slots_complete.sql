{{ config(meta={'dagster': {'ref': {'name': 'email_recommendations'}}}) }}
-- All recipients of a campaign get the same number of slots: all are filled, or none.
with lists as (

    select
        campaign,
        customer_id,
        count(*) as slots
    from (
        select * from {{ ref('email_recommendations') }}
        union all
        select * from {{ ref('email_holdout') }}
    ) as both_sides
    group by campaign, customer_id

)

select
    campaign,
    min(slots) as fewest,
    max(slots) as most
from lists
group by campaign
having min(slots) <> max(slots)

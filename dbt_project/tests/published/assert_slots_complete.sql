{{ config(meta={'dagster': {'ref': {'name': 'email_recommendations'}}}) }}
-- All recipients of a campaign, in every arm of an experiment, get the same number of slots: all are filled,
-- or none.
with lists as (

    select
        campaign,
        arm,
        customer_id,
        count(*) as slots
    from (
        select * from {{ ref('email_recommendations') }}
        union all
        select * from {{ ref('email_holdout') }}
    ) as both_sides
    group by campaign, arm, customer_id

)

select
    campaign,
    arm,
    min(slots) as fewest,
    max(slots) as most
from lists
group by campaign, arm
having min(slots) <> max(slots)

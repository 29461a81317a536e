{{ config(meta={'dagster': {'ref': {'name': 'campaign_outcomes'}}}) }}
-- Of each campaign the outcomes add up to the customers, erased ones apart, and as many are selected as
-- have rows.
with outcomes as (

    select
        campaign,
        sum(customers) as customers,
        sum(case when outcome = 'erased' then customers else 0 end) as erased,
        sum(case when outcome = 'selected' then customers else 0 end) as selected
    from {{ ref('campaign_outcomes') }}
    group by campaign

),

listed as (

    select
        campaign,
        count(distinct customer_id) as customers
    from (
        select
            campaign,
            customer_id
        from {{ ref('email_recommendations') }}
        union all
        select
            campaign,
            customer_id
        from {{ ref('campaign_predictions') }}
    ) as both_kinds
    group by campaign

),

people as (

    select
        (select count(*) from {{ ref('recs_customers') }}) as known,
        (select count(*) from {{ ref('stg_customers') }}) as accepted

)

select
    outcomes.*,
    listed.customers as listed,
    people.known,
    people.accepted
from outcomes
cross join people
left join listed on outcomes.campaign = listed.campaign
where
    outcomes.customers <> people.accepted
    or outcomes.customers - outcomes.erased <> people.known
    or outcomes.selected <> coalesce(listed.customers, 0)

{{ config(meta={'dagster': {'ref': {'name': 'campaign_outcomes'}}}) }}
-- Of each campaign the outcomes add up to the customers, erased ones apart; as many are selected as have rows
-- that are sent, and as many are held out as have rows that are not. Customer by customer they are the same.
with outcomes as (

    select
        campaign,
        sum(customers) as customers,
        sum(case when outcome = 'erased' then customers else 0 end) as erased,
        sum(case when outcome = 'selected' then customers else 0 end) as selected,
        sum(case when outcome = 'holdout' then customers else 0 end) as held_out
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

counted as (

    select
        campaign,
        outcome,
        count(*) as customers
    from {{ ref('campaign_customers') }}
    group by campaign, outcome

),

miscounted as (

    select distinct found.campaign
    from {{ ref('campaign_outcomes') }} as found
    left join counted on found.campaign = counted.campaign and found.outcome = counted.outcome
    where found.outcome <> 'erased' and found.customers <> coalesce(counted.customers, 0)

),

held as (

    select
        campaign,
        count(distinct customer_id) as customers
    from {{ ref('email_holdout') }}
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
    held.customers as held,
    people.known,
    people.accepted
from outcomes
cross join people
left join listed on outcomes.campaign = listed.campaign
left join held on outcomes.campaign = held.campaign
where
    outcomes.customers <> people.accepted
    or outcomes.customers - outcomes.erased <> people.known
    or outcomes.selected <> coalesce(listed.customers, 0)
    or outcomes.held_out <> coalesce(held.customers, 0)
    or outcomes.campaign in (select miscounted.campaign from miscounted)

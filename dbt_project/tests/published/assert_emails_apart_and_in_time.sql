{{ config(meta={'dagster': {'ref': {'name': 'email_recommendations'}}}) }}
-- What must not be sent cannot be read as if it should: nobody who is held out stands in the email table,
-- nobody in both tables, and no row is over when its email goes out.
with placed as (

    select
        'email_recommendations' as found_in,
        campaign,
        customer_id,
        arm,
        send_at,
        best_send_at,
        expires_at
    from {{ ref('email_recommendations') }}
    union all
    select
        'email_holdout' as found_in,
        campaign,
        customer_id,
        arm,
        send_at,
        best_send_at,
        expires_at
    from {{ ref('email_holdout') }}

),

twice as (

    select
        campaign,
        customer_id
    from placed
    group by campaign, customer_id
    having count(distinct found_in) > 1

)

select
    placed.found_in,
    placed.campaign,
    placed.customer_id
from placed
left join twice on placed.campaign = twice.campaign and placed.customer_id = twice.customer_id
where
    placed.send_at >= placed.expires_at
    or placed.best_send_at < placed.send_at
    or placed.best_send_at >= placed.expires_at
    or (placed.arm = 'holdout') <> (placed.found_in = 'email_holdout')
    or twice.campaign is not null

-- The slots of a campaign's week that were drawn by lot, and what their products earned until the window was over. Where the shop
-- says which rows it sent, the others are left out: a slot that was given away at the last look is none that was drawn.
with drawn as (
    -- What is known of whoever was two customers then is known of the person.
    select emails.customer_id, coalesce(people.customer_id, emails.customer_id) as person_id, slot, product_id, recommendation_id,
        propensity
    from recs.email_recommendations as emails
    left join people on emails.customer_id = people.profile_id
    where campaign = $campaign and as_of = $week and propensity < 1
),

events as (
    select event_type, recommendation_id, customer_id, product_id
    from recs.campaign_events
    where occurred_at >= $week and occurred_at < $until and placement is null
      and event_type in ('sent', 'delivered', 'clicked')
      and (campaign = $campaign or recommendation_id is not null)
),

sent as (
    select distinct events.recommendation_id
    from events
    join recs.email_recommendations as emails using (recommendation_id)
    where event_type <> 'clicked' and emails.campaign = $campaign and emails.as_of = $week
),

clicked as (
    select distinct recommendation_id from events where event_type = 'clicked' and recommendation_id is not null
),

named as (
    select distinct customer_id, product_id from events where event_type = 'clicked' and recommendation_id is null
),

bought as (
    select customer_id, product_id, sum(net_amount::decimal(38, 6))::double as revenue
    from recs.order_lines
    where ordered_at >= $week and ordered_at < $until
      and (fully_returned_at is null or fully_returned_at >= $until)
    group by all
)

select drawn.customer_id, drawn.slot, drawn.product_id, drawn.propensity,
    (clicked.recommendation_id is not null or named.customer_id is not null)::integer as click,
    (bought.customer_id is not null)::integer as purchase,
    coalesce(bought.revenue, 0) as revenue
from drawn
left join clicked using (recommendation_id)
left join named on drawn.person_id = named.customer_id and drawn.product_id = named.product_id
left join bought on drawn.person_id = bought.customer_id and drawn.product_id = bought.product_id
where not exists (select 1 from sent) or drawn.recommendation_id in (select recommendation_id from sent)
order by drawn.customer_id, drawn.slot

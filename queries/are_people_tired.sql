-- Are people tired? Clicks by how many times the same product was shown to the same customer, in emails that were opened and
-- on the shop's pages. Who is still shown a product for the fifth time has not bought it, and the list was sure of it five times: compare
-- rows with a like p_purchase. What a further showing does beside that is the metric fatigue in recs.monitor.
with email_rows as (
    select campaign, as_of, customer_id, product_id, p_purchase, recommendation_id from recs.email_recommendations
),

opened as (
    select campaign, customer_id, date_trunc('week', occurred_at)::date as as_of, min(occurred_at) as shown_at
    from recs.campaign_events
    where event_type = 'opened' and placement is null
    group by all
),

showings as (
    select customer_id, product_id, recommendation_id, min(occurred_at) as shown_at
    from recs.campaign_events
    where event_type = 'shown' and customer_id is not null and product_id is not null and recommendation_id is not null
    group by all
    union all
    select email_rows.customer_id, email_rows.product_id, email_rows.recommendation_id, opened.shown_at
    from email_rows inner join opened using (campaign, customer_id, as_of)
),

shown as (
    select customer_id, product_id, recommendation_id, min(shown_at) as shown_at
    from showings
    group by all
),

clicked as (
    select distinct recommendation_id from recs.campaign_events where event_type = 'clicked' and recommendation_id is not null
),

numbered as (
    select
        shown.*,
        clicked.recommendation_id is not null as clicked,
        row_number() over (
            partition by shown.customer_id, shown.product_id order by shown.shown_at, shown.recommendation_id
        ) as times
    from shown left join clicked using (recommendation_id)
)

select
    least(numbered.times, 8) as times_shown,
    count(*) as shown,
    count(*) filter (where numbered.clicked) as clicks,
    round(100 * avg(numbered.clicked::integer), 2) as clicks_per_hundred,
    round(100 * avg(rows.p_purchase), 2) as p_purchase_in_hundred
from numbered
left join email_rows as rows on numbered.recommendation_id = rows.recommendation_id
group by times_shown
order by times_shown;

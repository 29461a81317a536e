-- Published rows that customers were shown before the week, with whether they clicked them: an event names the row by its
-- recommendation_id; of a mailing that is reported as a whole all rows of its customer and week count. Each week's mailing counts by
-- the best that the shop reports of it: what was shown, else what was opened, else what was sent. An email that nobody opens tires
-- nobody. How often somebody saw a product is counted over all lists together.
with rows as (

    select
        campaign as list, as_of, customer_id, product_id, slot, slot_type, p_purchase, recommendation_id
    from published.recs.email_recommendations
    where as_of < $week and hash(customer_id) % $every::ubigint = 0
    union all
    select
        'customer_recommendations' as list, as_of, customer_id, product_id, rank as slot, null as slot_type, p_purchase, recommendation_id
    from published.recs.customer_recommendations
    where as_of < $week and hash(customer_id) % $every::ubigint = 0

),

events as (

    select campaign, customer_id, product_id, recommendation_id, event_type, occurred_at
    from intermediate.int_campaign_events_attributed
    where occurred_at < $week and event_type in ('sent', 'opened', 'shown', 'clicked')
        and (customer_id is null or hash(customer_id) % $every::ubigint = 0)

),

reported as (

    select
        campaign,
        date_trunc('week', occurred_at)::date as as_of,
        case
            when bool_or(event_type = 'shown') then 'shown'
            when bool_or(event_type = 'opened') then 'opened'
            else 'sent'
        end as showing
    from events
    where campaign is not null
    group by all

),

seen as (

    select events.*, date_trunc('week', events.occurred_at)::date as as_of
    from events
    left join reported
        on events.campaign = reported.campaign and date_trunc('week', events.occurred_at)::date = reported.as_of
    where events.event_type in (coalesce(reported.showing, 'shown'), 'clicked')

),

by_row as (

    select recommendation_id, min(occurred_at) as shown_at, bool_or(event_type = 'clicked') as clicked
    from seen
    where recommendation_id is not null
    group by recommendation_id

),

by_mailing as (

    select campaign, customer_id, as_of, min(occurred_at) as shown_at
    from seen
    where event_type != 'clicked' and recommendation_id is null and product_id is null and campaign is not null
    group by all

),

by_click as (

    select distinct campaign, customer_id, product_id, as_of
    from seen
    where event_type = 'clicked' and recommendation_id is null and product_id is not null and campaign is not null

),

final as (

    select
        rows.list,
        rows.as_of,
        rows.customer_id,
        rows.product_id,
        rows.slot,
        rows.slot_type,
        rows.p_purchase,
        coalesce(by_row.shown_at, by_mailing.shown_at) as shown_at,
        coalesce(by_row.clicked, false) or by_click.product_id is not null as clicked
    from rows
    left join by_row using (recommendation_id)
    left join by_mailing
        on rows.list = by_mailing.campaign and rows.customer_id = by_mailing.customer_id and rows.as_of = by_mailing.as_of
    left join by_click
        on
            rows.list = by_click.campaign
            and rows.customer_id = by_click.customer_id
            and rows.product_id = by_click.product_id
            and rows.as_of = by_click.as_of
    where coalesce(by_row.shown_at, by_mailing.shown_at) is not null

)

select
    *,
    row_number() over (partition by customer_id, product_id order by shown_at, as_of, list, slot) as times
from final
order by list, customer_id, as_of, slot, product_id, times

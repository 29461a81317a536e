-- What the customers of an experiment made of its campaign, per week since its start. Who opened an email was shown its
-- whole list; a page says of every product that it was shown.
with events as (
    select customers.customer, customers.slots, events.event_type, events.event_id, events.recommendation_id, events.product_id,
        events.campaign is not distinct from $campaign as own,
        cast(floor(date_diff('day', $starts, events.occurred_at::date) / 7) as integer) as week
    from intermediate.int_campaign_events_attributed as events
    join experiment_customers as customers on events.customer_id = customers.customer_id
    where events.known_until is null and events.occurred_at >= $begin and events.occurred_at < $until
    union all
    select customers.customer, customers.slots, 'unsubscribed', null, null, null, true,
        cast(floor(date_diff('day', $starts, changes.effective_at::date) / 7) as integer)
    from staging.stg_consent_changes as changes
    join experiment_customers as customers on changes.customer_id = customers.customer_id
    where changes.state in ('unsubscribed', 'objected') and changes.is_readable
      and changes.effective_at >= $begin and changes.effective_at < $until
)

select customer, week,
    -- Two clicks on one recommendation are one.
    count(distinct coalesce(recommendation_id, product_id, event_id)) filter (where own and event_type = 'clicked')::double
        as clicks,
    greatest(
        count(*) filter (where own and event_type = 'shown'),
        any_value(slots) * least(count(*) filter (where own and event_type = 'opened'), 1)
    )::double as shown,
    count(*) filter (where event_type = 'unsubscribed')::double as unsubscribes,
    count(*) filter (where event_type = 'complained')::double as complaints
from events group by all order by all

-- Per campaign: sends of the last days, and how many were answered by what; several events of one day count once.
with events as (

    select distinct coalesce(campaign, 'none') as campaign, customer_id, event_type, occurred_at::date as day
    from intermediate.int_campaign_events_attributed
    where
        occurred_at >= $since and occurred_at < $week
        and event_type in ('sent', 'clicked', 'unsubscribed', 'complained', 'bounced') and placement is null

)

select
    campaign,
    count(*) filter (event_type = 'sent') as sends,
    count(*) filter (event_type = 'clicked') as clicks,
    count(*) filter (event_type = 'unsubscribed') as unsubscribes,
    count(*) filter (event_type = 'complained') as complaints,
    count(*) filter (event_type = 'bounced') as bounces
from events
group by campaign
having sends > 0
order by campaign

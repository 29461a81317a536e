select customer_id, min(day) as day
from (
    select customer_id, campaign, occurred_at::date as day
    from staging.stg_campaign_events where event_type = 'sent' and placement is null and customer_id is not null and occurred_at < $anchor
    union all
    select customer_id, campaign, as_of from sent_before where not held or campaign = $campaign
)
group by customer_id, campaign, date_trunc('week', day) order by all

select customer_id, product_id, date_trunc('week', occurred_at)::date as day
from staging.stg_campaign_events
where event_type = 'sent' and placement is null and customer_id is not null and product_id is not null and campaign = $campaign
  and date_trunc('week', occurred_at) < $anchor
union
select customer_id, product_id, as_of from sent_before where campaign = $campaign
order by all

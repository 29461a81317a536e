-- What came of the shop's mailings: customers per campaign, month and kind of event.
select
    campaign,
    strftime(occurred_at, '%Y-%m') as month,
    event_type,
    count(distinct customer_id) as customers,
    count(*) as events
from recs.campaign_events
group by campaign, month, event_type
order by campaign, month, event_type;

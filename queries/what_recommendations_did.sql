-- What came of every kind of recommendation: how often it was shown, clicked, put into the cart, bought and dismissed, by list,
-- placement and rank. An event finds the published row that it came of by its recommendation_id.
select
    coalesce(rows.list, 'not published') as list,
    coalesce(events.placement, 'email') as placement,
    rows.rank,
    count(*) filter (where events.event_type in ('sent', 'shown')) as shown,
    count(*) filter (where events.event_type = 'clicked') as clicked,
    count(*) filter (where events.event_type = 'added_to_cart') as added_to_cart,
    count(*) filter (where events.event_type = 'purchased') as purchased,
    count(*) filter (where events.event_type = 'dismissed') as dismissed,
    count(distinct coalesce(events.customer_id, events.visitor_id)) as people,
    round(avg(rows.score), 4) as mean_score
from recs.campaign_events as events
left join recs.recommendations_by_id as rows on events.recommendation_id = rows.recommendation_id
where events.product_id is not null
group by all
order by list, placement, rank;

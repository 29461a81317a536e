-- Of all purchases after the test anchor, how many stood in the list, and where were the others lost?
-- First the way to the list, whose shares add up to 1 in each view (all products, new ones, repeat purchases);
-- then each recommender: what it retrieved, and what nobody else did, so would be lost without it.
select
    view,
    source,
    stage,
    purchases,
    round(100 * share, 1) as percent
from recs.recall_waterfall
where as_of = (select max(as_of) from recs.recall_waterfall) and segment = 'all'
order by
    view,
    case when source = 'all' then 0 else 1 end,
    case when source = 'all' then 0 when stage = 'retrieved' then 1 else 2 end,
    purchases desc,
    source,
    stage;

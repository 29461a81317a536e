-- Which recommender is best for newcomers, and which for regulars (MAP@12 by orders so far)?
select
    segment,
    view,
    recommender,
    value as map_at_12,
    customers
from recs.model_metrics
where
    as_of = (select max(as_of) from recs.model_metrics)
    and metric = 'map'
    and k = 12
    and segment <> 'all'
order by segment, view, map_at_12 desc, recommender;

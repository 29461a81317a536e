-- The evaluation table: how well does every recommender do on all customers and all products?
select
    recommender,
    max(case when metric = 'map' and k = 12 then value end) as map_at_12,
    max(case when metric = 'map' and k = 12 then ci_low end) as map_at_12_low,
    max(case when metric = 'map' and k = 12 then ci_high end) as map_at_12_high,
    max(case when metric = 'ndcg' and k = 12 then value end) as ndcg_at_12,
    max(case when metric = 'recall' and k = 12 then value end) as recall_at_12,
    max(case when metric = 'precision' and k = 12 then value end) as precision_at_12,
    max(case when metric = 'hit_rate' and k = 12 then value end) as hit_rate_at_12,
    max(customers) as customers
from recs.model_metrics
where
    as_of = (select max(as_of) from recs.model_metrics)
    and view = 'all'
    and segment = 'all'
group by recommender
order by map_at_12 desc nulls last, recommender;

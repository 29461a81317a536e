-- Why does this model make the week's lists? It starts with the simplest; a later one takes over only if
-- the interval of its gain, customer by customer, lies above 0.
select
    step,
    metric,
    candidate,
    round(candidate_value, 4) as candidate_value,
    incumbent,
    round(incumbent_value, 4) as incumbent_value,
    round(difference, 4) as difference,
    round(ci_low, 4) as ci_low,
    round(ci_high, 4) as ci_high,
    customers,
    case when promoted then candidate || ' takes over' else incumbent || ' stays' end as outcome,
    chosen as makes_the_lists
from recs.model_decisions
where as_of = (select max(as_of) from recs.model_decisions)
order by step;

-- What did last week's email earn? Per campaign: what was bought after it was clicked or opened (attributed), beside
-- what those on the list spent more than the customers held out (incremental, with its 95 % interval). No figure
-- where nobody is held out, or too few are.
select
    campaign,
    as_of as week,
    emails,
    opened as recommendations_opened,
    clicks as recommendations_clicked,
    purchases as attributed_purchases,
    revenue as attributed_revenue,
    margin as attributed_margin,
    held_out as customers_held_out,
    incremental_revenue,
    incremental_revenue_low as at_least,
    incremental_revenue_high as at_most
from recs.recommendation_results
where channel = 'email' and dimension = 'all'
qualify as_of = max(as_of) over ()
order by campaign;

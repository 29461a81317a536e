-- What became of every customer in every campaign of the newest week?
select
    campaign,
    outcome,
    customers,
    round(100.0 * customers / sum(customers) over (partition by campaign), 1) as percent
from recs.campaign_outcomes
where as_of = (select max(as_of) from recs.campaign_outcomes)
order by campaign, step;

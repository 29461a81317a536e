-- Which customers got no email of a campaign in the newest week, and why?
select
    campaign,
    customer_id,
    outcome
from recs.campaign_customers
where as_of = (select max(as_of) from recs.campaign_customers) and outcome not in ('selected', 'holdout')
order by campaign, outcome, customer_id;

-- What the newest emails are expected to sell within their windows: first purchases and repeats, and their margin
-- where the cost is known.
select
    campaign,
    window_days,
    bought_before,
    count(*) as rows_sent,
    round(sum(p_purchase), 1) as expected_purchases,
    round(sum(p_purchase * price), 2) as expected_revenue,
    round(sum(p_purchase * margin), 2) as expected_margin
from recs.email_recommendations
where as_of = (select max(as_of) from recs.email_recommendations)
group by campaign, window_days, bought_before
order by campaign, window_days, bought_before;

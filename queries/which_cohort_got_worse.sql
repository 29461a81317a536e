-- Which group of customers is served worse than before, by how much: groups of a kind (segment, cohort of the first order, number of
-- orders), the largest loss first. The change is drawn towards the other groups of its kind, and its whole interval is below 0 where a
-- group is named.
select
    metric,
    subject,
    verdict,
    value,
    reference,
    reference_weeks,
    counted as customers,
    round((change_low + change_high) / 2, 4) as change,
    round(change_low, 4) as change_low,
    round(change_high, 4) as change_high,
    coalesce(change_high < 0, false) as got_worse,
    sentence
from recs.monitor
where
    as_of = (select max(as_of) from recs.monitor)
    and area = 'model'
    and subject like '%:%'
order by got_worse desc, change nulls last, metric, subject;

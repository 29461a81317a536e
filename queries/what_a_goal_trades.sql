-- What would a goal of revenue or margin have brought at the test anchor, and what would it have cost in
-- purchases? Per recipient, with the 95 % interval of the difference to strength 0, which counts purchases
-- alone; the knee is marked. An interval that holds 0 proves nothing.
select
    campaign,
    goal,
    strength,
    knee,
    recipients,
    round(purchases, 4) as purchases,
    round(revenue, 3) as revenue,
    round(margin, 3) as margin,
    format(
        '{:+.4f} ({:+.4f} to {:+.4f})', purchases_gained, purchases_low, purchases_high
    ) as purchases_gained,
    format('{:+.3f} ({:+.3f} to {:+.3f})', revenue_gained, revenue_low, revenue_high) as revenue_gained,
    format('{:+.3f} ({:+.3f} to {:+.3f})', margin_gained, margin_low, margin_high) as margin_gained
from recs.goal_frontier
where as_of = (select max(as_of) from recs.goal_frontier) and segment = 'all'
order by campaign, step;

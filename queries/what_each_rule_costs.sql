-- What do all rules together (all_rules), and each of them, cost or earn? Purchases of the test's window among the listed
-- products, with all rules, without this one, and with this one alone; below 0 the rule gave purchases up. An interval that
-- holds 0 proves nothing, and prices of single rules do not add up.
select
    campaign,
    rule,
    kind,
    customers_changed,
    purchases,
    purchases_without,
    purchases_gained,
    round(purchases_low, 1) as purchases_low,
    round(purchases_high, 1) as purchases_high,
    purchases_alone,
    alone_gained,
    round(margin_gained, 2) as margin_gained
from recs.rule_price_tags
where as_of = (select max(as_of) from recs.rule_price_tags)
order by campaign, step;

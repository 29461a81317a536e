-- Who is due to buy what again this week? (due_ratio near 1: as long ago as usual.)
select
    customer_id,
    product_name,
    order_days,
    mean_gap_days,
    days_since_last,
    due_ratio,
    reason_text
from recs.buy_it_again
where
    as_of = (select max(as_of) from recs.buy_it_again)
    and order_days >= 3
    and due_ratio between 0.8 and 1.2
order by order_days desc, customer_id, rank
limit 50;

-- Who is due to buy what again this week? (The expected date falls into the week.)
select
    customer_id,
    product_name,
    order_days,
    last_bought_at,
    expected_gap_days,
    expected_next_date,
    p_repeat,
    reason_text
from recs.buy_it_again
where
    as_of = (select max(as_of) from recs.buy_it_again)
    and order_days >= 3
    and expected_next_date between as_of and as_of + 6
order by p_repeat desc, customer_id, rank
limit 50;

{{ config(meta={'dagster': {'ref': {'name': 'buy_it_again'}}}) }}
-- "Again" is true: the customer bought the product before as_of, and did not send it all back.
select
    customer_id,
    product_id
from {{ ref('buy_it_again') }}
where coalesce(order_days, 0) < 1 or first_bought_at is null or not {{ is_known('first_bought_at') }}

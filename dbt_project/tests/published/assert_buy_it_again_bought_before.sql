{{ config(meta={'dagster': {'ref': {'name': 'buy_it_again'}}}) }}
-- "Again" is true: the customer bought the product, or the one it replaces, before as_of, and did not
-- send it all back; and what is replaced cannot be had.
with available as (

    select product_id from {{ ref('product_features') }} where as_of = {{ as_of_date() }} and available

)

select
    again.customer_id,
    again.product_id,
    again.replaces_product_id
from {{ ref('buy_it_again') }} as again
left join available on again.replaces_product_id = available.product_id
where
    coalesce(again.order_days, 0) < 1
    or again.first_bought_at is null
    or not {{ is_known('again.first_bought_at') }}
    or available.product_id is not null

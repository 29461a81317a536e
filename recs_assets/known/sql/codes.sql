-- Customers known before the anchor and all products, by number: the codes of `Known`.
with customers as (
    select customer_id, row_number() over (order by customer_id) - 1 as code
    from marts.customers where joined_at is null or joined_at < $anchor
),
products as (
    select product_id, row_number() over (order by product_id) - 1 as code from marts.products
)

{{ config(meta={'dagster': {'ref': {'name': 'buy_it_again'}}}) }}
-- Nothing is shown long before it is due, and the ratio follows from the row's own figures.
select
    customer_id,
    product_id,
    due_ratio
from {{ ref('buy_it_again') }}
where
    due_ratio < {{ var('buy_again_due_ratio') }}
    or abs(due_ratio * expected_gap_days - days_since_last - {{ var('horizon_days') }}) > 0.001

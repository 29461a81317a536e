-- A basket has one household and one moment (155,848 of 155,848).
select
    basket_id::varchar as order_id,
    min(household_id)::varchar as customer_id,
    timezone('UTC', min(transaction_timestamp)) as ordered_at,
    'completed' as status,
    'USD' as currency
from files.transactions
group by basket_id
order by ordered_at, order_id

-- What an account switches on at one day is an order.
select
    account || '/' || day::varchar as order_id,
    account as customer_id,
    day as ordered_at,
    'completed' as status
from files.switches
where state = 'on'
group by account, day

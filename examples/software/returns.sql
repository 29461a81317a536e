-- Switched off again: as if it had been sent back. A feature is switched on and off once in these data.
select
    switched_off.switch as return_id,
    switched_on.account || '/' || switched_on.day::varchar as order_id,
    switched_off.feature as product_id,
    1.0 as quantity,
    switched_off.day as returned_at
from files.switches as switched_off
inner join files.switches as switched_on
    on switched_off.account = switched_on.account and switched_off.feature = switched_on.feature
where switched_off.state = 'off' and switched_on.state = 'on'

select
    account || '/' || day::varchar as order_id,
    switch as line_id,
    feature as product_id,
    1.0 as quantity,
    monthly_price as amount
from files.switches
inner join files.features using (feature)
where state = 'on'

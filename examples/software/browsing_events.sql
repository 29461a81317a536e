-- Who reads a feature's page looks at it, and a trial is what a cart is to a shop. What is used is switched on already: no wish.
select
    event as event_id,
    account as customer_id,
    feature as product_id,
    case kind when 'trial_started' then 'add_to_cart' else 'view' end as event_type,
    day as occurred_at
from files.events
where kind in ('page_read', 'trial_started')

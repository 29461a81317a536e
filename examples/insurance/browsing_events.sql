-- Who asked for a quote has looked at the policy.
select
    quote_no as event_id,
    client_no as customer_id,
    policy as product_id,
    'view' as event_type,
    asked_on as occurred_at
from files.quotes

with withdrew as (
    from staging.stg_customer_consents where consent_state <> 'subscribed'
)
from withdrew
union all
select distinct trim(customer_id), 'unsubscribed' from memory.raw.customers
where email_eligible is distinct from true
  and trim(customer_id) not in (select customer_id from withdrew)
order by customer_id

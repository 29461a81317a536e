with withdrew as (
    from staging.stg_customer_consents where consent_state <> 'subscribed'
),
refused as (
    select distinct trim(customer_id) as profile_id from memory.raw.customers where email_eligible is distinct from true
)
from withdrew
union all
select distinct customer_id, 'unsubscribed' from (
    select profile_id as customer_id from refused
    union all
    select identities.customer_id from refused join base.base_customer_identities as identities using (profile_id)
)
where customer_id not in (select customer_id from withdrew)
order by customer_id

with signs as (
    select customer_id,
        max(occurred_at) filter (where event_type = 'bounced') as bounced_at,
        max(occurred_at) filter (where event_type in ('opened', 'clicked', 'purchased')) as alive_at
    from staging.stg_campaign_events where placement is null and occurred_at < $anchor group by customer_id
)
select customer_id, consent_state,
    coalesce(bounced_at > coalesce(alive_at, timestamp '1970-01-01'), false) as bounced,
    coalesce(lower(trim(segment)) = 'test', false) or coalesce(address_kind = 'test', false)
        as test_account,
    coalesce(not_learned_from_reason = 'wholesale', false) as wholesale,
    coalesce(address_kind = 'none', false) as no_address,
    coalesce(address_kind = 'unusable', false) as unusable_address,
    address_group as address
from marts.customers left join signs using (customer_id)
left join intermediate.int_customer_addresses using (customer_id) order by customer_id

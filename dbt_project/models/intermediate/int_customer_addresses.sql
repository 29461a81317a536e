-- Whether a customer can be reached, and who shares an address; the addresses themselves stay where
-- they are. A shop none of whose customers has an address keeps them elsewhere: then nothing is known.
with customers as (

    select
        stg_customers.customer_id,
        {{ address_key('stg_customers.email') }} as address
    from {{ ref('stg_customers') }} as stg_customers
    left join
        {{ ref('int_consents_resolved') }} as consents
        on stg_customers.customer_id = consents.customer_id
    where coalesce(consents.consent_state, 'subscribed') <> 'erased'

),

kinds as (

    select
        customer_id,
        address,
        {{ address_kind('address') }} as kind
    from customers

),

known as (

    select
        *,
        -- Numbered by the first account, so that the number says nothing of the address.
        min(customer_id) over (partition by kind, address) as first_account
    from kinds
    where exists (select 1 from kinds as others where others.kind = 'usable')

),

final as (

    select
        customer_id,
        kind as address_kind,
        cast(case when kind = 'usable' then dense_rank() over (order by first_account) end as integer)
            as address_group
    from known

)

select * from final
order by customer_id

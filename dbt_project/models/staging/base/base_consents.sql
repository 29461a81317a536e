with source as (

    select
        {{ clean_text('customer_id') }} as customer_id,
        {{ clean_code('state') }} as state,
        effective_at
    from {{ source('raw', 'consents') }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.customer_id']) }}
            when source.state is null then 'missing_value'
            when source.state not in ('unsubscribed', 'objected', 'erased', 'subscribed') then 'unknown_state'
            -- An erased person has rightly left the customer file; the erasure stays in force.
            when source.state = 'erased' and customers.customer_id is null then null
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.effective_at') }}
            {{ when_date_is_bad('source.effective_at') }}
        end as broken_rule
    from source
    left join customers on source.customer_id = customers.customer_id

),

final as (

    -- The key is the whole row, so copies are alike and any of them may stay.
    {{ with_duplicates_rejected('judged', key=['customer_id', 'state', 'effective_at'], columns=['customer_id']) }}

)

select * from final

-- Each type is looked at once: millions of events have a handful of them.
with types as (

    select
        event_type as written,
        {{ event_type_of('event_type') }} as event_type,
        {{ event_withdrawal('event_type') }} is not null as is_withdrawal
    from {{ source('raw', 'campaign_events') }}
    group by event_type

),

source as (

    select
        {{ clean_text('events.event_id') }} as event_id,
        {{ clean_text('events.campaign') }} as campaign,
        {{ clean_text('events.customer_id') }} as spelling,
        {{ clean_text('events.product_id') }} as product_id,
        types.event_type,
        coalesce(types.is_withdrawal, false) as is_withdrawal,
        events.occurred_at,
        {{ clean_text('events.arm') }} as arm
    from {{ source('raw', 'campaign_events') }} as events
    left join types on events.event_type = types.written

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

matches as (

    select
        spelling,
        min(customer_id) as customer_id
    from {{ ref('base_consent_matches') }}
    group by spelling

),

matched as (

    select
        source.event_id,
        source.campaign,
        coalesce(matches.customer_id, source.spelling) as customer_id,
        source.product_id,
        source.event_type,
        source.occurred_at,
        source.arm,
        source.is_withdrawal,
        source.is_withdrawal
        and matches.customer_id is null
        and (source.occurred_at is null or source.occurred_at < {{ consents_until() }}) as is_unmatched
    from source
    -- One equality: with a second condition DuckDB compares every event with every spelling.
    left join matches on case when source.is_withdrawal then source.spelling end = matches.spelling

),

judged as (

    select
        matched.*,
        case
            -- First, so that what says nothing to us is never a fault of ids.
            when matched.event_type not in {{ event_types() }} and not matched.is_withdrawal then 'unknown_event_type'
            {{ when_id_is_bad(['matched.event_id', 'matched.customer_id']) }}
            when matched.is_unmatched then 'unmatched_withdrawal'
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'matched.occurred_at') }}
            when matched.product_id is not null and products.product_id is null then 'orphan_product'
            {{ when_date_is_bad('matched.occurred_at') }}
            when matched.campaign is null or matched.event_type is null then 'missing_value'
            when matched.event_type not in {{ event_types() }} then 'unknown_event_type'
        end as failed_check
    from matched
    left join customers on matched.customer_id = customers.customer_id
    left join products on matched.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['event_id'],
        columns=['campaign', 'customer_id', 'product_id', 'event_type', 'arm'],
        event_at='occurred_at',
    ) }}

)

select * from final

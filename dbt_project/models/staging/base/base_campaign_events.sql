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
        {{ customer_or_guest('events.customer_id') }} as customer_id,
        {{ clean_text('events.product_id') }} as product_id,
        types.event_type,
        coalesce(types.is_withdrawal, false) as is_withdrawal,
        events.occurred_at,
        {{ clean_text('events.arm') }} as arm,
        {{ stated(clean_text('events.recommendation_id')) }} as recommendation_id,
        {{ stated(clean_text('events.session_id')) }} as session_id,
        {{ stated(clean_text('events.visitor_id')) }} as visitor_id,
        {{ clean_text('events.placement') }} as placement,
        events.position,
        {{ clean_text('events.experiment') }} as experiment
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
        -- A withdrawal keeps the spelling that means nobody we know.
        coalesce(matches.customer_id, case when source.is_withdrawal then source.spelling else source.customer_id end)
            as customer_id,
        source.product_id,
        source.event_type,
        source.occurred_at,
        source.arm,
        source.recommendation_id,
        source.session_id,
        source.visitor_id,
        source.placement,
        source.position,
        source.experiment,
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
            {{ when_id_is_bad(['matched.event_id'], optional=[
                'matched.customer_id', 'matched.recommendation_id', 'matched.session_id', 'matched.visitor_id'
            ]) }}
            -- Nobody's browser can take a customer's consent back.
            when matched.customer_id is null and (matched.visitor_id is null or matched.is_withdrawal) then 'missing_key'
            when matched.is_unmatched then 'unmatched_withdrawal'
            {{ when_orphan(
                'orphan_customer', 'customers.customer_id', 'customers.joined_at', 'matched.occurred_at',
                pointer='matched.customer_id'
            ) }}
            when matched.product_id is not null and products.product_id is null then 'orphan_product'
            {{ when_date_is_bad('matched.occurred_at') }}
            when coalesce(matched.campaign, matched.placement) is null or matched.event_type is null then 'missing_value'
            when matched.position < 1 then 'implausible_number'
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
        columns=[
            'campaign', 'customer_id', 'product_id', 'event_type', 'arm', 'recommendation_id', 'session_id', 'visitor_id',
            'placement', 'position', 'experiment'
        ],
        event_at='occurred_at',
    ) }}

)

select * from final

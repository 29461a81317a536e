with source as (

    select
        {{ clean_text('event_id') }} as event_id,
        -- Whoever was not signed in is nobody's history.
        {{ customer_or_guest('customer_id') }} as customer_id,
        {{ clean_text('product_id') }} as product_id,
        {{ clean_code('event_type') }} as event_type,
        occurred_at,
        duration_seconds,
        {{ stated(clean_text('referrer')) }} as referrer,
        {{ clean_code('device') }} as device,
        {{ stated(clean_text('session_id')) }} as session_id,
        {{ stated(clean_text('visitor_id')) }} as visitor_id
    from {{ source('raw', 'browsing_events') }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.event_id', 'source.product_id'], optional=[
                'source.customer_id', 'source.session_id', 'source.visitor_id'
            ]) }}
            {{ when_orphan(
                'orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.occurred_at',
                pointer='source.customer_id'
            ) }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_date_is_bad('source.occurred_at') }}
            when source.event_type is null then 'missing_value'
            when source.event_type not in ('view', 'add_to_cart', 'add_to_wishlist') then 'unknown_event_type'
            {{ when_number_is_bad('source.duration_seconds', optional=true) }}
            when source.duration_seconds < 0 then 'negative_amount'
        end as failed_check
    from source
    left join customers on source.customer_id = customers.customer_id
    left join products on source.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['event_id'],
        columns=['customer_id', 'product_id', 'event_type', 'duration_seconds', 'referrer', 'device', 'session_id', 'visitor_id'],
        event_at='occurred_at',
    ) }}

)

select * from final

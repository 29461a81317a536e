with source as (

    select
        {{ clean_text('event_id') }} as event_id,
        {{ clean_text('campaign') }} as campaign,
        {{ clean_text('customer_id') }} as customer_id,
        {{ clean_text('product_id') }} as product_id,
        {{ clean_code('event_type') }} as event_type,
        occurred_at,
        {{ clean_text('arm') }} as arm
    from {{ source('raw', 'campaign_events') }}

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
            {{ when_id_is_bad(['source.event_id', 'source.customer_id']) }}
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.occurred_at') }}
            when source.product_id is not null and products.product_id is null then 'orphan_product'
            {{ when_date_is_bad('source.occurred_at') }}
            when source.campaign is null or source.event_type is null then 'missing_value'
            when source.event_type not in ('sent', 'opened', 'clicked', 'purchased', 'bounced')
                then 'unknown_event_type'
        end as broken_rule
    from source
    left join customers on source.customer_id = customers.customer_id
    left join products on source.product_id = products.product_id

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

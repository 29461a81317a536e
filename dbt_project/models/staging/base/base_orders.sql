with source as (

    select
        {{ clean_text('order_id') }} as order_id,
        {{ clean_text('customer_id') }} as customer_id,
        ordered_at,
        {{ clean_code('status') }} as status,
        upper({{ clean_text('currency') }}) as currency
    from {{ source('raw', 'orders') }}

),

customers as (

    select customer_id, joined_at from {{ ref('base_customers') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.order_id', 'source.customer_id']) }}
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.ordered_at') }}
            {{ when_date_is_bad('source.ordered_at') }}
            when source.status is null then 'missing_value'
        end as broken_rule
    from source
    left join customers on source.customer_id = customers.customer_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['order_id'],
        columns=['customer_id', 'status', 'currency'],
        event_at='ordered_at',
    ) }}

)

select * from final

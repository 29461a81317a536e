with source as (

    select
        {{ clean_text('return_id') }} as return_id,
        {{ clean_text('order_id') }} as order_id,
        {{ clean_text('product_id') }} as product_id,
        -- Units that came back are sometimes written as less than none.
        abs(quantity) as quantity,
        returned_at,
        {{ clean_text('reason') }} as reason,
        {{ file_row() }} as file_row
    from {{ source('raw', 'returns') }}

),

orders as (

    select order_id, customer_id, ordered_at from {{ ref('base_orders') }} where reject_reason is null

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

lines as (

    select distinct
        {{ clean_text('order_id') }} as order_id,
        {{ clean_text('product_id') }} as product_id
    from {{ source('raw', 'order_items') }}
    where {{ clean_text('order_id') }} in (select source.order_id from source)

),

judged as (

    select
        source.*,
        orders.customer_id,
        case
            {{ when_id_is_bad(['source.return_id', 'source.order_id', 'source.product_id']) }}
            {{ when_orphan('orphan_order', 'orders.order_id', 'orders.ordered_at', 'source.returned_at') }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_orphan('orphan_line', 'lines.order_id') }}
            {{ when_date_is_bad('source.returned_at') }}
            -- By day: shops that book returns by date write midnight.
            when cast(source.returned_at as date) < cast(orders.ordered_at as date) then 'return_before_order'
            {{ when_number_is_bad('source.quantity') }}
            when source.quantity <= 0 then 'non_positive_quantity'
        end as failed_check
    from source
    left join orders on source.order_id = orders.order_id
    left join products on source.product_id = products.product_id
    left join lines on source.order_id = lines.order_id and source.product_id = lines.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['return_id'],
        columns=['file_row desc'],
        event_at='returned_at',
    ) }}

)

select * from final

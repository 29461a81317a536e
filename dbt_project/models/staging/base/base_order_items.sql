with source as (

    select
        {{ clean_text('order_id') }} as order_id,
        {{ clean_text('line_id') }} as line_id,
        {{ clean_text('product_id') }} as product_id,
        quantity,
        amount,
        discount
    from {{ source('raw', 'order_items') }}

),

-- A line has no date of its own. It counts as seen with the first row of its order, even a
-- rejected one; it is sold with the one row of that order which was accepted.
orders as (

    select
        order_id,
        min(customer_id) as customer_id,
        min(ordered_at) as seen_at,
        min(case when reject_reason is null then ordered_at end) as ordered_at
    from {{ ref('base_orders') }}
    where order_id is not null
    group by order_id

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

judged as (

    select
        source.*,
        orders.customer_id,
        orders.seen_at,
        orders.ordered_at,
        case
            {{ when_id_is_bad(['source.order_id', 'source.line_id', 'source.product_id']) }}
            {{ when_orphan('orphan_order', 'orders.ordered_at', 'orders.ordered_at', 'orders.seen_at') }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_number_is_bad('source.quantity') }}
            {{ when_number_is_bad('source.amount') }}
            {{ when_number_is_bad('source.discount', optional=true) }}
            when source.quantity <= 0 then 'non_positive_quantity'
            when source.amount < 0 or source.discount < 0 then 'negative_amount'
        end as broken_rule
    from source
    left join orders on source.order_id = orders.order_id
    left join products on source.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['order_id', 'line_id'],
        columns=['product_id', 'quantity', 'amount', 'discount'],
    ) }}

)

select * from final

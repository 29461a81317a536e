with source as (

    select
        {{ clean_text('order_id') }} as order_id,
        {{ clean_text('line_id') }} as line_id,
        {{ clean_text('product_id') }} as product_id,
        quantity,
        amount,
        discount,
        {{ file_row() }} as file_row
    from {{ source('raw', 'order_items') }}

),

people as (

    {{ by_person(ref('base_orders')) }}

),

-- A line has no date of its own. It counts as seen with the first row of its order, even a
-- rejected one; it is sold with the one row of that order which was accepted.
orders as (

    select
        order_id,
        coalesce(min(case when reject_reason is null then customer_id end), min(customer_id)) as customer_id,
        min(ordered_at) as seen_at,
        min(case when reject_reason is null then ordered_at end) as ordered_at,
        max(case when reject_reason = 'superseded' then 1 else 0 end) = 1 as was_exported_again
    from people
    where order_id is not null
    group by order_id

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

dated as (

    select
        source.*,
        orders.customer_id,
        orders.seen_at,
        orders.ordered_at,
        orders.was_exported_again,
        coalesce(source.quantity < 0 or (source.quantity > 0 and source.amount < 0), false) as is_credit
    from source
    left join orders on source.order_id = orders.order_id

),

-- A credit takes back what was sold before: in its own order, or to its customer until then.
sold as (

    select
        order_id,
        product_id,
        customer_id,
        ordered_at
    from dated
    where quantity > 0 and not is_credit and product_id in (select product_id from dated where is_credit)

),

sold_in_order as (

    select distinct
        order_id,
        product_id
    from sold

),

sold_to_customer as (

    select
        customer_id,
        product_id,
        min(ordered_at) as first_sold_at
    from sold
    where customer_id is not null
    group by customer_id, product_id

),

judged as (

    select
        dated.*,
        case
            {{ when_id_is_bad(['dated.order_id', 'dated.line_id', 'dated.product_id']) }}
            {{ when_orphan('orphan_order', 'dated.ordered_at', 'dated.ordered_at', 'dated.seen_at') }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_number_is_bad('dated.quantity') }}
            {{ when_number_is_bad('dated.amount') }}
            {{ when_number_is_bad('dated.discount', optional=true) }}
            when
                dated.is_credit
                and (sold_in_order.order_id is not null or sold_to_customer.first_sold_at <= dated.ordered_at)
                then null
            when dated.quantity <= 0 then 'non_positive_quantity'
            when dated.amount < 0 or dated.discount < 0 then 'negative_amount'
        end as failed_check
    from dated
    left join products on dated.product_id = products.product_id
    -- Columns alone: with `dated.is_credit` here DuckDB compares every line with every other.
    left join sold_in_order
        on dated.order_id = sold_in_order.order_id and dated.product_id = sold_in_order.product_id
    left join sold_to_customer
        on dated.customer_id = sold_to_customer.customer_id and dated.product_id = sold_to_customer.product_id

),

deduplicated as (

    {{ with_duplicates_rejected(
        'judged',
        key=['order_id', 'line_id', 'is_credit'],
        columns=['file_row desc'],
    ) }}

),

final as (

    -- An order that was exported again brought its lines along.
    select
        order_id,
        line_id,
        product_id,
        quantity,
        amount,
        discount,
        customer_id,
        seen_at,
        ordered_at,
        is_credit,
        case
            when reject_reason = 'duplicate_row' and was_exported_again then 'superseded'
            else reject_reason
        end as reject_reason
    from deduplicated

)

select * from final

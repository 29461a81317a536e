with source as (

    select
        {{ clean_text('review_id') }} as review_id,
        {{ clean_text('customer_id') }} as customer_id,
        {{ clean_text('product_id') }} as product_id,
        rating,
        reviewed_at,
        {{ clean_text('title') }} as title,
        {{ clean_text('body') }} as body,
        {{ file_row() }} as file_row
    from {{ source('raw', 'reviews') }}

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
            {{ when_id_is_bad(['source.review_id', 'source.customer_id', 'source.product_id']) }}
            {{ when_orphan('orphan_customer', 'customers.customer_id', 'customers.joined_at', 'source.reviewed_at') }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_date_is_bad('source.reviewed_at') }}
            when source.rating is null then 'missing_value'
            -- NaN is larger than every number here, so it is out of range too.
            when source.rating < 1 or source.rating > 5 then 'rating_out_of_range'
        end as failed_check
    from source
    left join customers on source.customer_id = customers.customer_id
    left join products on source.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['review_id'],
        columns=['file_row desc'],
        event_at='reviewed_at',
    ) }}

)

select * from final

with source as (

    select
        {{ clean_text('product_id') }} as product_id,
        counted_at,
        stock,
        {{ file_row() }} as file_row
    from {{ source('raw', 'inventory') }}

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.product_id']) }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_date_is_bad('source.counted_at') }}
            -- Below zero is a usual way to book oversold units: out of stock, not an error.
            {{ when_number_is_bad('source.stock') }}
        end as failed_check
    from source
    left join products on source.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected('judged', key=['product_id', 'counted_at'], columns=['file_row desc']) }}

)

select * from final

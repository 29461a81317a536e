with source as (

    select
        {{ clean_text('product_id') }} as product_id,
        {{ clean_text('name') }} as name,
        start_at,
        end_at,
        {{ clean_text('parent_id') }} as parent_id,
        {{ clean_text('brand') }} as brand,
        {{ clean_text('category') }} as category,
        {{ clean_text('vertical') }} as vertical,
        price,
        cost,
        {{ clean_text('url') }} as url,
        {{ clean_text('image_url') }} as image_url,
        {{ clean_text('description') }} as description,
        {{ clean_text('attributes') }} as attributes,
        {{ clean_text('merchant_id') }} as merchant_id,
        {{ file_row() }} as file_row
    from {{ source('raw', 'products') }}

),

judged as (

    select
        *,
        case
            {{ when_id_is_bad(['product_id']) }}
            {{ when_number_is_bad('price', optional=true) }}
            {{ when_number_is_bad('cost', optional=true) }}
            when price < 0 or cost < 0 then 'negative_amount'
            when end_at < start_at then 'end_before_start'
        end as failed_check
    from source

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['product_id'],
        columns=['file_row desc'],
    ) }}

)

select * from final

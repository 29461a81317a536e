with source as (

    select
        {{ clean_text('promotion_id') }} as promotion_id,
        {{ clean_text('product_id') }} as product_id,
        {{ clean_code('kind') }} as kind,
        announced_at,
        start_at,
        end_at,
        reach,
        {{ file_row() }} as file_row
    from {{ source('raw', 'promotions') }}

),

products as (

    select product_id from {{ ref('base_products') }} where reject_reason is null

),

judged as (

    select
        source.*,
        case
            {{ when_id_is_bad(['source.promotion_id', 'source.product_id']) }}
            {{ when_orphan('orphan_product', 'products.product_id') }}
            {{ when_date_is_bad('source.announced_at') }}
            when source.start_at is null or source.end_at is null then 'missing_date'
            when source.kind is null then 'missing_value'
            when source.end_at < source.start_at then 'end_before_start'
            when source.reach < 0 or source.reach > 1 then 'reach_out_of_range'
        end as failed_check
    from source
    left join products on source.product_id = products.product_id

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['promotion_id'],
        columns=['file_row desc'],
        event_at='announced_at',
    ) }}

)

select * from final

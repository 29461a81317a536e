with accepted as (

    select * from {{ ref('base_products') }} where reject_reason is null

),

final as (

    select
        product_id,
        name,
        start_at,
        end_at,
        parent_id,
        brand,
        category,
        vertical,
        price,
        cost,
        url,
        image_url,
        description,
        attributes,
        merchant_id
    from accepted

)

select * from final

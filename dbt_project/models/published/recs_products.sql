with products as (

    select * from {{ ref('products') }}

),

final as (

    select
        product_id,
        name as product_name,
        brand,
        category,
        vertical,
        price,
        list_price,
        price_kind,
        price_from,
        currency,
        cost,
        start_at,
        end_at,
        parent_id,
        url,
        image_url,
        description,
        attributes,
        merchant_id,
        is_product
    from products

)

select * from final
order by product_id

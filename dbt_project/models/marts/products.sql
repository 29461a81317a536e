with products as (

    select * from {{ ref('stg_products') }}

),

prices as (

    select * from {{ ref('int_product_prices_anchored') }} where as_of = {{ as_of_date() }}

),

not_products as (

    select product_id from {{ ref('int_not_products') }} where verdict <> 'suspected'

),

final as (

    select
        products.product_id,
        products.name,
        products.brand,
        products.category,
        products.vertical,
        prices.price,
        -- What an offer takes off is not in the data: what is to be paid is the list price, or less.
        prices.price as list_price,
        prices.price_kind,
        prices.price_from,
        shop.currency,
        products.cost,
        products.start_at,
        products.end_at,
        products.parent_id,
        products.url,
        products.image_url,
        products.description,
        products.attributes,
        products.merchant_id,
        not_products.product_id is null as is_product
    from products
    cross join {{ ref('int_shop_currency') }} as shop
    left join prices on products.product_id = prices.product_id
    left join not_products on products.product_id = not_products.product_id

)

select * from final
order by product_id

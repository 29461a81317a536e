with products as (

    select * from {{ ref('stg_products') }}

),

sold as (

    select
        product_id,
        ordered_at,
        (amount + discount) / quantity as list_price
    from {{ ref('order_lines') }}

),

last_sold as (

    select
        product_id,
        max(ordered_at) as ordered_at
    from sold
    group by product_id

),

last_price as (

    -- Several prices at one moment: the highest is nearest to the undiscounted one.
    select
        sold.product_id,
        max(sold.list_price) as price
    from sold
    inner join last_sold on sold.product_id = last_sold.product_id and sold.ordered_at = last_sold.ordered_at
    group by sold.product_id

),

final as (

    select
        products.product_id,
        products.name,
        products.brand,
        products.category,
        products.vertical,
        coalesce(products.price, round(last_price.price, 2)) as price,
        products.cost,
        products.start_at,
        products.end_at,
        products.parent_id,
        products.url,
        products.image_url,
        products.description,
        products.attributes,
        products.merchant_id
    from products
    left join last_price on products.product_id = last_price.product_id

)

select * from final
order by product_id

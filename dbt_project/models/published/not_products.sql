with found as (

    select * from {{ ref('int_not_products') }}

),

products as (

    select * from {{ ref('recs_products') }}

),

final as (

    select
        found.product_id,
        products.product_name,
        products.category,
        found.verdict,
        found.signs,
        found.baskets,
        found.basket_share
    from found
    left join products on found.product_id = products.product_id

)

select * from final
order by product_id

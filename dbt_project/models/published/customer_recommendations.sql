-- The availability test reads the features of this week, so they must be built before.
-- depends_on: {{ ref('product_features') }}
with chosen as (

    select * from {{ source('model', 'recommendations') }} where as_of = {{ as_of_date() }}

),

products as (

    select * from {{ ref('recs_products') }}

),

final as (

    select
        {{ written_columns('customer_recommendations', 'chosen') }},
        products.product_name,
        products.category,
        products.brand,
        products.price,
        products.price_kind,
        products.price_from,
        products.currency,
        products.url,
        products.image_url,
        {{ recommendation_id([
            "'customer_recommendations'", "chosen.as_of", "chosen.customer_id",
            "chosen.rank", "chosen.product_id"
        ]) }} as recommendation_id
    from chosen
    left join products on chosen.product_id = products.product_id

)

select
    {{ declared_columns('customer_recommendations') }}
from final
order by as_of, customer_id, rank

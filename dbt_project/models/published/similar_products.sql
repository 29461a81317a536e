with chosen as (

    select *
    from {{ source('model', 'product_neighbours') }}
    where as_of = {{ as_of_date() }} and kind = 'similar'

),

products as (

    select * from {{ ref('recs_products') }}

),

final as (

    select
        {{ written_columns('similar_products', 'chosen') }},
        products.product_name,
        neighbours.product_name as neighbour_name,
        {{ recommendation_id([
            "'similar_products'", "chosen.as_of", "chosen.product_id",
            "chosen.rank", "chosen.neighbour_id"
        ]) }} as recommendation_id
    from chosen
    left join products on chosen.product_id = products.product_id
    left join products as neighbours on chosen.neighbour_id = neighbours.product_id

)

select
    {{ declared_columns('similar_products') }}
from final
order by as_of, product_id, rank

with chosen as (

    select * from {{ source('model', 'buy_it_again') }} where as_of = {{ as_of_date() }}

),

products as (

    select * from {{ ref('recs_products') }}

),

bought as (

    select * from {{ ref('customer_product_features') }} where as_of = {{ as_of_date() }}

),

final as (

    select
        {{ written_columns('buy_it_again', 'chosen') }},
        products.product_name,
        products.category,
        products.price,
        products.price_kind,
        products.price_from,
        products.currency,
        bought.order_days,
        bought.units,
        bought.first_bought_at,
        bought.last_bought_at,
        bought.days_since_last,
        bought.mean_gap_days,
        {{ recommendation_id([
            "'buy_it_again'", "chosen.as_of", "chosen.customer_id",
            "chosen.rank", "chosen.product_id"
        ]) }} as recommendation_id
    from chosen
    left join products on chosen.product_id = products.product_id
    left join bought
        on
            chosen.customer_id = bought.customer_id
            and coalesce(chosen.replaces_product_id, chosen.product_id) = bought.product_id

)

select
    {{ declared_columns('buy_it_again') }}
from final
order by as_of, customer_id, rank

-- A view: the ids, and nothing else, would be as large as the lists. In an email a rank is a slot.
with final as (

    select
        recommendation_id,
        'email_recommendations' as list,
        as_of,
        campaign,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as beside_product_id,
        product_id,
        slot as rank,
        score,
        reason_text
    from {{ ref('email_recommendations') }}
    where recommendation_id is not null
    union all
    select
        recommendation_id,
        'customer_recommendations' as list,
        as_of,
        cast(null as {{ dbt.type_string() }}) as campaign,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as beside_product_id,
        product_id,
        rank,
        score,
        reason_text
    from {{ ref('customer_recommendations') }}
    where recommendation_id is not null
    union all
    select
        recommendation_id,
        'buy_it_again' as list,
        as_of,
        cast(null as {{ dbt.type_string() }}) as campaign,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as beside_product_id,
        product_id,
        rank,
        score,
        reason_text
    from {{ ref('buy_it_again') }}
    where recommendation_id is not null
    union all
    select
        recommendation_id,
        'frequently_bought_together' as list,
        as_of,
        cast(null as {{ dbt.type_string() }}) as campaign,
        cast(null as {{ dbt.type_string() }}) as customer_id,
        product_id as beside_product_id,
        neighbour_id as product_id,
        rank,
        score,
        reason_text
    from {{ ref('frequently_bought_together') }}
    where recommendation_id is not null
    union all
    select
        recommendation_id,
        'similar_products' as list,
        as_of,
        cast(null as {{ dbt.type_string() }}) as campaign,
        cast(null as {{ dbt.type_string() }}) as customer_id,
        product_id as beside_product_id,
        neighbour_id as product_id,
        rank,
        score,
        reason_text
    from {{ ref('similar_products') }}
    where recommendation_id is not null
    union all
    select
        recommendation_id,
        list,
        as_of,
        cast(null as {{ dbt.type_string() }}) as campaign,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as beside_product_id,
        product_id,
        rank,
        score,
        reason_text
    from {{ ref('nightly_recommendations') }}

)

select * from final

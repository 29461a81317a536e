{{ config(meta={'dagster': {'ref': {'name': 'customer_recommendations'}}}) }}
-- Nothing that cannot be bought at as_of is put in front of a customer.
with recommended as (

    select
        'email_recommendations' as list,
        product_id
    from {{ ref('email_recommendations') }}
    union all
    select
        'email_holdout' as list,
        product_id
    from {{ ref('email_holdout') }}
    union all
    select
        'customer_recommendations' as list,
        product_id
    from {{ ref('customer_recommendations') }}
    union all
    select
        'buy_it_again' as list,
        product_id
    from {{ ref('buy_it_again') }}
    union all
    select
        'frequently_bought_together' as list,
        neighbour_id as product_id
    from {{ ref('frequently_bought_together') }}
    union all
    select
        'similar_products' as list,
        neighbour_id as product_id
    from {{ ref('similar_products') }}

),

available as (

    select product_id from {{ ref('product_features') }} where as_of = {{ as_of_date() }} and available

)

select
    recommended.list,
    recommended.product_id,
    count(*) as row_count
from recommended
left join available on recommended.product_id = available.product_id
where available.product_id is null
group by recommended.list, recommended.product_id

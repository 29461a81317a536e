-- Per list: customers, slots, how many of the products on sale it shows, how alike its lists are, how unequal the products' places are.
with listed as (

    select 'customer_recommendations' as list, product_id, rank = 1 as is_first from model.recommendations
    union all
    select campaign as list, product_id, slot = 1 as is_first from model.email_selection

),

products as (

    select product_id, buyers, available from features.product_features where as_of = $week

),

available as (

    select count(*) filter (available) as products, max(buyers) as most_buyers from products

),

buyers as (

    select count(distinct customer_id) as customers from features.customer_features where as_of = $week and order_count > 0

),

exposed as (

    select
        counted.list, counted.product_id, counted.places, counted.firsts, coalesce(products.buyers, 0) as buyers
    from (
        select list, product_id, count(*) as places, count(*) filter (is_first) as firsts from listed group by list, product_id
    ) as counted
    left join products using (product_id)

),

ordered as (

    select *, row_number() over (partition by list order by places, product_id) as number, count(*) over (partition by list) as shown
    from exposed

),

summed as (

    select
        list,
        max(shown) as shown,
        sum(firsts)::bigint as customers,
        sum(places) as places,
        -- pairs of customers that share a product, over all products
        sum(places * (places - 1) / 2.0) as shared,
        greatest(max(shown), (select products from available)) as possible,
        sum((greatest(shown, (select products from available)) - shown + number) * places) as weighted,
        sum((places * -log2(greatest(buyers, 1) / greatest((select customers from buyers), 1)))::decimal(38, 12))::double as bits
    from ordered
    group by list

)

select
    summed.list,
    summed.customers,
    summed.places::bigint as slots,
    summed.shown,
    summed.shown / summed.possible as coverage,
    case when summed.customers > 1
        then summed.shared / (summed.customers * (summed.customers - 1) / 2.0) / (summed.places / summed.customers) end as sameness,
    2.0 * summed.weighted / (summed.possible * summed.places) - (summed.possible + 1.0) / summed.possible as gini,
    summed.bits / summed.places as novelty
from summed
order by summed.list

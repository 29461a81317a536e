-- A customer's recommendations next to what was in the last basket: do they look like the same person?
-- Replace the customer of the first lines; here: the one with most orders among those with a list.
with one_customer as (

    select customers.customer_id
    from recs.customers
    where customers.customer_id in (select customer_id from recs.customer_recommendations)
    order by customers.order_count desc, customers.customer_id
    limit 1

),

last_basket as (

    select baskets.*
    from recs.baskets
    inner join one_customer on baskets.customer_id = one_customer.customer_id
    where baskets.units > 0
    order by baskets.ordered_at desc, baskets.order_id
    limit 1

),

bought as (

    select
        row_number() over (order by lines.net_amount desc, lines.line_id) as place,
        products.product_name,
        lines.net_quantity,
        lines.net_amount
    from recs.order_lines as lines
    inner join last_basket on lines.order_id = last_basket.order_id
    inner join recs.products on lines.product_id = products.product_id
    where lines.net_quantity > 0

),

recommended as (

    select
        recommendations.rank as place,
        recommendations.product_name,
        recommendations.source,
        recommendations.reason_text
    from recs.customer_recommendations as recommendations
    inner join one_customer on recommendations.customer_id = one_customer.customer_id
    where recommendations.as_of = (select max(as_of) from recs.customer_recommendations) and recommendations.rank <= 20

)

select
    coalesce(recommended.place, bought.place) as place,
    recommended.product_name as recommended,
    recommended.source,
    recommended.reason_text,
    bought.product_name as in_last_basket,
    bought.net_quantity,
    bought.net_amount
from recommended
full outer join bought on recommended.place = bought.place
order by place;

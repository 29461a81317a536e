-- Promised and made purchases by tenth of the probability, of the newest published lists whose window is over.
with bought as (

    select distinct customer_id, product_id
    from marts.order_lines
    where ordered_at >= $listed and ordered_at < $over and learned_from and hash(customer_id) % $every::ubigint = 0

),

listed as (

    select *, ntile(10) over (order by p_purchase, customer_id, product_id) as tenth
    from (
        -- Whoever was two customers then was promised a product once.
        select customer_id, product_id, max(p_purchase) as p_purchase
        from published.recs.customer_recommendations
        where as_of = $listed and p_purchase is not null and hash(customer_id) % $every::ubigint = 0
        group by customer_id, product_id
    )

)

select listed.tenth, count(*) as rows, sum(listed.p_purchase::decimal(38, 12))::double as promised, count(bought.product_id) as made
from listed
left join bought using (customer_id, product_id)
group by listed.tenth
order by listed.tenth

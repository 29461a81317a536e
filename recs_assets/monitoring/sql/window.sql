-- What became of the newest published lists whose window is over: per customer who bought something in it, whether any of it was on
-- their list, with their groups.
with listed as (

    select customer_id, product_id from published.recs.customer_recommendations where as_of = $listed and hash(customer_id) % $every::ubigint = 0

),

bought as (

    select distinct customer_id, product_id
    from marts.order_lines
    where ordered_at >= $listed and ordered_at < $over and learned_from and hash(customer_id) % $every::ubigint = 0

),

buyers as (

    select bought.customer_id, count(listed.product_id) > 0 as hit
    from bought
    left join listed using (customer_id, product_id)
    where bought.customer_id in (select customer_id from listed)
    group by bought.customer_id

),

grouped as (

    select
        buyers.hit,
        customers.segment,
        case
            when customers.first_order_at < $listed
                then year(customers.first_order_at)::varchar || ', quarter ' || quarter(customers.first_order_at)::varchar
            else 'new'
        end as cohort
    from buyers
    inner join marts.customers as customers using (customer_id)

)

select 'all' as subject, count(*) as customers, count(*) filter (hit) as hits from grouped
union all
select 'segment:' || coalesce(segment, 'none'), count(*), count(*) filter (hit) from grouped group by segment
union all
select 'cohort:' || cohort, count(*), count(*) filter (hit) from grouped group by cohort
order by subject

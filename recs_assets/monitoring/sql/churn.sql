-- Per list: of the products of customers who had a list in the last published week, too, how many were not on it.
with listed as (

    select 'customer_recommendations' as list, customer_id, product_id from model.recommendations where hash(customer_id) % $every = 0
    union all
    select campaign as list, customer_id, product_id from model.email_selection where hash(customer_id) % $every = 0

),

before as (

    select 'customer_recommendations' as list, as_of, customer_id, product_id
    from published.recs.customer_recommendations where as_of < $week and hash(customer_id) % $every = 0
    union all
    select campaign as list, as_of, customer_id, product_id
    from published.recs.email_recommendations where as_of < $week and hash(customer_id) % $every = 0

),

last_week as (

    select list, customer_id, product_id from before
    qualify as_of = max(as_of) over (partition by list)

),

had_a_list as (

    select distinct list, customer_id from last_week

)

select
    listed.list,
    count(distinct listed.customer_id) as customers,
    count(*) filter (last_week.product_id is null) / count(*) as churn
from listed
inner join had_a_list using (list, customer_id)
left join last_week using (list, customer_id, product_id)
group by listed.list
order by listed.list

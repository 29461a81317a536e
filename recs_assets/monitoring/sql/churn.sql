-- Per list: of the products of customers who had a list in the last published week, too, how many were not on it.
with listed as (

    select 'customer_recommendations' as list, customer_id, product_id from model.recommendations where hash(customer_id) % $every::ubigint = 0
    union all
    select campaign as list, customer_id, product_id from model.email_selection where hash(customer_id) % $every::ubigint = 0

),

newest as (

    select campaign, max(as_of) as as_of from published.recs.email_recommendations where as_of < $week group by campaign

),

last_week as (

    select 'customer_recommendations' as list, customer_id, product_id
    from published.recs.customer_recommendations
    where
        as_of = (select max(as_of) from published.recs.customer_recommendations where as_of < $week)
        and hash(customer_id) % $every::ubigint = 0
    -- Of whoever was two customers then a product that both had is one.
    union
    select sent.campaign as list, sent.customer_id, sent.product_id
    from published.recs.email_recommendations as sent
    inner join newest on sent.campaign = newest.campaign and sent.as_of = newest.as_of
    where hash(sent.customer_id) % $every::ubigint = 0

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

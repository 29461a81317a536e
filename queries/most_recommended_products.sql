-- Which products are in most weekly emails of the newest week, and how well do they sell anyway?
with newest as (

    select *
    from recs.email_recommendations
    where campaign = 'weekly_email' and as_of = (select max(as_of) from recs.email_recommendations)

),

sold as (

    select
        product_id,
        count(distinct customer_id) as buyers
    from recs.order_lines
    where net_quantity > 0
    group by product_id

)

select
    newest.product_id,
    any_value(newest.title) as title,
    any_value(newest.category) as category,
    count(*) as emails,
    round(100.0 * count(*) / (select count(distinct customer_id) from newest), 1) as percent_of_recipients,
    round(avg(newest.slot), 1) as mean_slot,
    coalesce(any_value(sold.buyers), 0) as buyers_so_far
from newest
left join sold on newest.product_id = sold.product_id
group by newest.product_id
order by emails desc, newest.product_id
limit 20;

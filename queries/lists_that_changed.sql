-- How much of each weekly email is new since the week before? (Empty while only one week is published.)
with weeks as (

    select
        as_of,
        lag(as_of) over (order by as_of) as week_before
    from (select distinct as_of from recs.email_recommendations where campaign = 'weekly_email') as published

),

compared as (

    select
        this_week.as_of,
        this_week.customer_id,
        count(*) as slots,
        count(case when last_week.product_id is null then 1 end) as new_products
    from recs.email_recommendations as this_week
    inner join weeks on this_week.as_of = weeks.as_of and weeks.week_before is not null
    left join recs.email_recommendations as last_week
        on
            last_week.campaign = this_week.campaign
            and last_week.as_of = weeks.week_before
            and last_week.customer_id = this_week.customer_id
            and last_week.product_id = this_week.product_id
    where this_week.campaign = 'weekly_email'
    group by this_week.as_of, this_week.customer_id

)

select
    as_of,
    count(*) as customers,
    count(case when new_products > 0 then 1 end) as lists_that_changed,
    round(avg(1.0 * new_products / slots), 3) as mean_share_of_new_products,
    count(case when new_products = 0 then 1 end) as same_products_as_last_week
from compared
group by as_of
order by as_of desc;

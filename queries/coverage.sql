-- Coverage of the weekly email: how many customers get it in full, and how much of the catalogue is shown?
with newest as (

    select *
    from recs.email_recommendations
    where campaign = 'weekly_email' and as_of = (select max(as_of) from recs.email_recommendations)

),

lists as (

    select
        customer_id,
        count(*) as slots
    from newest
    group by customer_id

)

select
    (select count(*) from recs.customers) as customers,
    (select count(*) from recs.customers where email_eligible) as may_be_emailed,
    (select count(*) from lists) as get_an_email,
    (select count(*) from lists where slots = 12) as get_all_12_slots,
    (select count(distinct product_id) from newest) as products_shown,
    (select count(*) from recs.products) as products_in_catalogue,
    (select count(distinct product_id) from recs.order_lines where net_quantity > 0) as products_ever_sold;

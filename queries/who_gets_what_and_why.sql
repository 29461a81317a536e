-- What does one customer get in every campaign's emails, and why?
-- Replace the customer of the first line; here: the first one who gets an email at all.
with one_customer as (

    select min(customer_id) as customer_id from recs.email_recommendations

)

select
    email.campaign,
    email.as_of,
    email.customer_id,
    email.slot,
    email.title,
    email.category,
    email.price,
    email.slot_type,
    email.source,
    email.reason_text,
    because.product_name as because_product_name,
    email.because_at
from recs.email_recommendations as email
inner join one_customer on email.customer_id = one_customer.customer_id
left join recs.products as because on email.because_product_id = because.product_id
order by email.as_of desc, email.campaign, email.slot;

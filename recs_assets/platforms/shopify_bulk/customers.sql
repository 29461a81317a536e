-- Only those who have said yes to email may be written to.
with first_orders as (
    select
        regexp_extract(customer ->> '$.id', '[0-9]+$') as customer_id,
        min(createdAt) as ordered_at
    from files.orders
    where __parentId is null
    group by 1
),

people as (
    select
        regexp_extract(id, '[0-9]+$') as customer_id,
        min(createdAt) as created_at,
        min(defaultEmailAddress ->> '$.emailAddress') as email,
        bool_and(coalesce((defaultEmailAddress ->> '$.marketingState') = 'SUBSCRIBED', false)) as email_eligible,
        max(defaultAddress ->> '$.countryCodeV2') as country,
        max(locale) as locale,
        max(coalesce(defaultPhoneNumber ->> '$.phoneNumber', defaultAddress ->> '$.phone')) as phone,
        max(firstName) as first_name,
        max(lastName) as last_name,
        max(defaultAddress ->> '$.zip') as postcode
    from files.customers
    where id like 'gid://shopify/Customer/%'
    group by 1
)

select
    customer_id,
    least(people.created_at, first_orders.ordered_at) as joined_at,
    people.email,
    coalesce(people.email_eligible, false) as email_eligible,
    people.country,
    people.locale,
    people.phone,
    people.first_name,
    people.last_name,
    people.postcode
from people
full join first_orders using (customer_id)
where customer_id <> ''
order by customer_id

-- Accounts, and guests by the hash of their address. Only who subscribed and is not unsubscribed under the same address
-- may be written to.
with by_address as (
    select lower(trim(email)) as address, min(id) as customer_id from files.customers
    where email <> '' group by 1
),

countries as (
    select customer_id, max(country) as country from files.addresses
    where address_type = 'customer' group by customer_id
),

everybody as (
    select
        customers.id as customer_id,
        lower(trim(customers.email)) as email,
        customers.created_at as known_at,
        coalesce(customers.subscribed_to_news_letter, false) as is_subscribed,
        countries.country,
        groups.code as segment
    from files.customers as customers
    left join countries on customers.id = countries.customer_id
    left join files.customer_groups as groups on customers.customer_group_id = groups.id
    union all
    select
        coalesce(orders.customer_id, by_address.customer_id, md5(nullif(lower(trim(orders.customer_email)), ''))),
        lower(trim(orders.customer_email)),
        orders.created_at,
        null,
        null,
        null
    from files.orders as orders
    left join by_address on lower(trim(orders.customer_email)) = by_address.address
),

people as (
    select
        customer_id,
        min(known_at) as known_at,
        coalesce(min(case when segment is not null then email end), min(email)) as email,
        bool_and(is_subscribed) as is_subscribed, -- null: no account
        max(country) as country,
        max(segment) as segment
    from everybody
    where customer_id is not null
    group by customer_id
),

listed as (
    select lower(trim(email)) as email, bool_and(is_subscribed) as is_subscribed from files.subscribers_list group by 1
)

select
    people.customer_id,
    people.known_at as joined_at,
    people.email,
    -- Either may say yes, and each may say no.
    coalesce(people.is_subscribed and listed.is_subscribed, people.is_subscribed, listed.is_subscribed, false) as email_eligible,
    people.country,
    people.segment
from people
left join listed on people.email = listed.email
order by people.customer_id

-- Accounts, and guests by the hash of their address. Only who subscribed and is not unsubscribed under the same address
-- may be written to. What an account says of a person counts more than orders, of which the newest does.
with by_address as (
    select lower(trim(email)) as address, min(id) as customer_id from files.customers
    where email <> '' group by 1
),

homes as (
    select
        customer_id,
        max(country) as country,
        max(phone) as phone,
        arg_max(postcode, (country, postcode)) as postcode
    from files.addresses where address_type = 'customer' group by customer_id
),

everybody as (
    select
        customers.id as customer_id,
        lower(trim(customers.email)) as email,
        customers.created_at as known_at,
        coalesce(customers.subscribed_to_news_letter, false) as is_subscribed,
        true as is_account,
        homes.country,
        groups.code as segment,
        coalesce(nullif(trim(customers.phone), ''), homes.phone) as phone,
        customers.first_name,
        customers.last_name,
        homes.postcode,
        customers.date_of_birth as birth_date
    from files.customers as customers
    left join homes on customers.id = homes.customer_id
    left join files.customer_groups as groups on customers.customer_group_id = groups.id
    union all
    select
        coalesce(orders.customer_id, by_address.customer_id, md5(nullif(lower(trim(orders.customer_email)), ''))),
        lower(trim(orders.customer_email)),
        orders.created_at,
        null,
        false,
        addresses.country,
        null,
        addresses.phone,
        addresses.first_name,
        addresses.last_name,
        addresses.postcode,
        null
    from files.orders as orders
    left join files.addresses as addresses
        on orders.id = addresses.order_id and addresses.address_type = 'order_billing'
    left join by_address on lower(trim(orders.customer_email)) = by_address.address
),

people as (
    select
        customer_id,
        min(known_at) as known_at,
        coalesce(min(case when segment is not null then email end), min(email)) as email,
        bool_and(is_subscribed) as is_subscribed, -- null: no account
        arg_max(country, (is_account, known_at, country)) filter (country <> '') as country,
        arg_max(trim(phone), (is_account, known_at, phone)) filter (trim(phone) <> '') as phone,
        arg_max(trim(first_name), (is_account, known_at, first_name)) filter (trim(first_name) <> '') as first_name,
        arg_max(trim(last_name), (is_account, known_at, last_name)) filter (trim(last_name) <> '') as last_name,
        arg_max(trim(postcode), (is_account, known_at, postcode)) filter (trim(postcode) <> '') as postcode,
        max(birth_date) as birth_date,
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
    people.segment,
    people.phone,
    people.first_name,
    people.last_name,
    people.postcode,
    people.birth_date
from people
left join listed on people.email = listed.email
order by people.customer_id

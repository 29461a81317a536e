-- Accounts, and guests by the hash of their address. WooCommerce does not know who wants email, so nobody is written
-- to. Names, number and postcode are those of the newest order that has them. Plugins know consent: declare their table and join it here by the address, say MailPoet's
--     exists (select 1 from files.mailpoet_subscribers as s where lower(s.email) = people.email and s.status = 'subscribed')
with by_address as (
    select lower(trim(user_email)) as address, min("ID") as user_id from files.users
    where user_email <> '' group by 1
),

orders as (
    select
        coalesce(
            nullif(orders.customer_id, '0'), by_address.user_id, md5(nullif(lower(trim(orders.billing_email)), ''))
        ) as customer_id,
        lower(trim(orders.billing_email)) as email,
        orders.date_created_gmt as known_at,
        nullif(addresses.country, '') as country,
        nullif(trim(addresses.phone), '') as phone,
        nullif(trim(addresses.first_name), '') as first_name,
        nullif(trim(addresses.last_name), '') as last_name,
        nullif(trim(addresses.postcode), '') as postcode
    from files.wc_orders as orders
    left join by_address on lower(trim(orders.billing_email)) = by_address.address
    left join files.wc_order_addresses as addresses
        on orders.id = addresses.order_id and addresses.address_type = 'billing'
    where orders.type = 'shop_order' and orders.status not in ('auto-draft', 'wc-checkout-draft', 'trash')
),

everybody as (
    select * from orders
    union all by name
    select "ID" as customer_id, lower(trim(user_email)) as email, user_registered as known_at from files.users
)

select
    everybody.customer_id,
    timezone('UTC', min(everybody.known_at)) as joined_at,
    coalesce(min(lower(trim(users.user_email))), min(everybody.email)) as email,
    false as email_eligible,
    arg_max(everybody.country, (everybody.known_at, everybody.country)) filter (everybody.country is not null) as country,
    arg_max(everybody.phone, (everybody.known_at, everybody.phone)) filter (everybody.phone is not null) as phone,
    arg_max(everybody.first_name, (everybody.known_at, everybody.first_name)) filter (everybody.first_name is not null)
        as first_name,
    arg_max(everybody.last_name, (everybody.known_at, everybody.last_name)) filter (everybody.last_name is not null)
        as last_name,
    arg_max(everybody.postcode, (everybody.known_at, everybody.postcode)) filter (everybody.postcode is not null) as postcode
from everybody
left join files.users as users on everybody.customer_id = users."ID"
where everybody.customer_id is not null
group by everybody.customer_id
order by everybody.customer_id

-- Accounts, and guests by the hash of their address. Only whose newsletter is confirmed (1) in every store that knows
-- them may be written to. What an account says of a person counts more than orders, of which the newest does.
with by_address as (
    select lower(trim(email)) as address, min(entity_id) as customer_id from files.customer_entity
    where email <> '' group by 1
),

everybody as (
    select
        customers.entity_id as customer_id,
        lower(trim(customers.email)) as email,
        customers.created_at as known_at,
        true as is_account,
        addresses.country_id as country,
        groups.customer_group_code as segment,
        addresses.telephone as phone,
        customers.firstname as first_name,
        customers.lastname as last_name,
        addresses.postcode,
        customers.dob as birth_date
    from files.customer_entity as customers
    left join files.customer_address_entity as addresses on customers.default_billing = addresses.entity_id
    left join files.customer_group as groups on customers.group_id = groups.customer_group_id
    union all
    select
        coalesce(orders.customer_id, by_address.customer_id, md5(nullif(lower(trim(orders.customer_email)), ''))),
        lower(trim(orders.customer_email)),
        orders.created_at,
        false,
        addresses.country_id,
        null,
        addresses.telephone,
        addresses.firstname,
        addresses.lastname,
        addresses.postcode,
        null
    from files.sales_order as orders
    left join files.sales_order_address as addresses
        on orders.entity_id = addresses.parent_id and addresses.address_type = 'billing'
    left join by_address on lower(trim(orders.customer_email)) = by_address.address
),

people as (
    select
        customer_id,
        min(known_at) as known_at,
        coalesce(min(case when segment is not null then email end), min(email)) as email,
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

-- By number and by address: an unsubscribe under either counts.
answers as (
    select people.customer_id, subscribers.subscriber_status
    from people
    inner join files.newsletter_subscriber as subscribers on people.customer_id = subscribers.customer_id
    union all
    select people.customer_id, subscribers.subscriber_status
    from people
    inner join files.newsletter_subscriber as subscribers on people.email = lower(trim(subscribers.subscriber_email))
),

consents as (
    select customer_id, bool_and(subscriber_status = 1) as is_subscribed from answers group by customer_id
)

select
    people.customer_id,
    people.known_at as joined_at,
    people.email,
    coalesce(consents.is_subscribed, false) as email_eligible,
    people.country,
    people.segment,
    people.phone,
    people.first_name,
    people.last_name,
    people.postcode,
    people.birth_date
from people
left join consents on people.customer_id = consents.customer_id
order by people.customer_id

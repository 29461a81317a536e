-- Whom customers_export has, and whoever else ordered. Only those who said yes there may be written to: what an order
-- says of it was true on that day.
with people as (
    select
        nullif(lower(trim("Email")), '') as address,
        nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone,
        ltrim("Customer ID", '''') as id,
        "Accepts Email Marketing" as is_opted_in,
        "Default Address Country Code" as country,
        coalesce("Phone", "Default Address Phone") as phone,
        "First Name" as first_name,
        "Last Name" as last_name,
        "Default Address Zip" as postcode
    from files.customers
),

by_address as (
    select address, min(id) as id from people where address is not null group by address
),

by_telephone as (
    select telephone, min(id) as id from people where telephone is not null group by telephone
),

ordered as (
    select
        coalesce(
            by_address.id,
            case when heads.address is null then by_telephone.id end,
            md5(coalesce(heads.address, heads.telephone))
        ) as customer_id,
        heads.address,
        heads.ordered_at,
        heads.country,
        heads.phone,
        heads.first_name,
        heads.last_name,
        heads.postcode
    from (
        select
            nullif(lower(trim("Email")), '') as address,
            nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone,
            "Created at" as ordered_at,
            nullif(regexp_extract("Billing Country", '^[A-Z]{2}$'), '') as country,
            coalesce("Phone", "Billing Phone") as phone,
            -- A whole name: what stands last in it is the last name.
            regexp_extract(trim("Billing Name"), '^(.*)\s+\S+$', 1) as first_name,
            regexp_extract(trim("Billing Name"), '\S+$') as last_name,
            "Billing Zip" as postcode
        from files.orders
        where "Financial Status" is not null
    ) as heads
    left join by_address on heads.address = by_address.address
    left join by_telephone on heads.telephone = by_telephone.telephone
),

everybody as (
    select
        coalesce(id, md5(coalesce(address, telephone))) as customer_id,
        address,
        coalesce(is_opted_in, false) and address is not null as is_opted_in,
        null::timestamptz as ordered_at,
        country,
        phone,
        first_name,
        last_name,
        postcode
    from people
    union all by name
    select * from ordered
),

-- An apostrophe in front keeps spreadsheets from taking a text for a number. What customers_export says counts more than
-- orders, of which the newest does.
written as (
    select
        * replace (
            nullif(ltrim(trim(phone), ''''), '') as phone,
            nullif(trim(first_name), '') as first_name,
            nullif(trim(last_name), '') as last_name,
            nullif(ltrim(trim(postcode), ''''), '') as postcode
        ),
        coalesce(ordered_at, 'infinity'::timestamptz) as said_at
    from everybody
)

select
    customer_id,
    min(ordered_at) as joined_at, -- the export has no date of its own
    min(address) as email,
    coalesce(bool_and(is_opted_in), false) as email_eligible,
    arg_max(country, (said_at, country)) filter (country is not null) as country,
    arg_max(phone, (said_at, phone)) filter (phone is not null) as phone,
    arg_max(first_name, (said_at, first_name)) filter (first_name is not null) as first_name,
    arg_max(last_name, (said_at, last_name)) filter (last_name is not null) as last_name,
    arg_max(postcode, (said_at, postcode)) filter (postcode is not null) as postcode
from written
where customer_id is not null
group by customer_id
order by customer_id

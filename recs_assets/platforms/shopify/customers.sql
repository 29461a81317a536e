-- Whom customers_export has, and whoever else ordered. Only those who said yes there may be written to: what an order
-- says of it was true on that day.
with people as (
    select
        nullif(lower(trim("Email")), '') as address,
        nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone,
        ltrim("Customer ID", '''') as id,
        "Accepts Email Marketing" as is_opted_in,
        "Default Address Country Code" as country
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
        heads.ordered_at
    from (
        select
            nullif(lower(trim("Email")), '') as address,
            nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone,
            "Created at" as ordered_at
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
        country,
        null::timestamptz as ordered_at
    from people
    union all
    select customer_id, address, null, null, ordered_at from ordered
)

select
    customer_id,
    min(ordered_at) as joined_at, -- the export has no date of its own
    min(address) as email,
    coalesce(bool_and(is_opted_in), false) as email_eligible,
    max(country) as country
from everybody
where customer_id is not null
group by customer_id
order by customer_id

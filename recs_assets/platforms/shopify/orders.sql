-- An order begins with the one of its rows that has a financial status. Exported twice, the row that says more of what
-- became of it counts. It names no customer, but an address or a telephone number: the customer of the same one is
-- meant, and where there is none, somebody known by the hash of it. With neither it is a guest's.
with heads as (
    select
        *,
        nullif(lower(trim("Email")), '') as address,
        nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone
    from files.orders
    where
        "Financial Status" is not null
        -- The shop's own trials: Shopify's gateway for them, or the tag that staff give.
        and not coalesce(contains(lower("Payment Method"), 'bogus'), false)
        and not coalesce(regexp_matches(lower("Tags"), '(^|,)\s*test\s*(,|$)'), false)
    qualify
        row_number() over (
            partition by "Name"
            order by
                "Refunded Amount" desc nulls last,
                "Cancelled at" desc nulls last,
                "Paid at" desc nulls last,
                "Fulfilled at" desc nulls last,
                "Created at",
                "Financial Status",
                "Total",
                "Lineitem name"
        ) = 1
),

people as (
    select
        nullif(lower(trim("Email")), '') as address,
        nullif(regexp_replace("Phone", '[^0-9]', '', 'g'), '') as telephone,
        ltrim("Customer ID", '''') as customer_id
    from files.customers
),

by_address as (
    select address, min(customer_id) as customer_id from people where address is not null group by address
),

by_telephone as (
    select telephone, min(customer_id) as customer_id from people where telephone is not null group by telephone
),

owned as (
    select
        heads.*,
        coalesce(
            by_address.customer_id,
            case when heads.address is null then by_telephone.customer_id end,
            md5(coalesce(heads.address, heads.telephone))
        ) as customer_id
    from heads
    left join by_address on heads.address = by_address.address
    left join by_telephone on heads.telephone = by_telephone.telephone
)

-- A paid order that was cancelled was a purchase until then.
select
    "Name" as order_id,
    customer_id,
    "Created at" as ordered_at,
    'paid' as status,
    "Currency" as currency,
    "Paid at" as updated_at
from owned
where "Cancelled at" is not null and "Paid at" < "Cancelled at"
union all
select
    "Name" as order_id,
    customer_id,
    "Created at" as ordered_at,
    case when "Cancelled at" is not null then 'cancelled' else "Financial Status" end as status,
    "Currency" as currency,
    "Cancelled at" as updated_at
from owned
order by order_id, updated_at nulls first

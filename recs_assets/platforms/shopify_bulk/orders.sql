-- An order that was paid and then cancelled or refunded was a purchase until then.
with heads as (
    select
        id,
        regexp_extract(customer ->> '$.id', '[0-9]+$') as customer_id,
        createdAt as created_at,
        cancelledAt as cancelled_at,
        currencyCode as currency,
        updatedAt as updated_at,
        displayFinancialStatus as financial_status,
        list_max(json_extract_string(refunds, '$[*].createdAt')::timestamptz[]) as refunded_at
    from files.orders
    where __parentId is null and not coalesce(test, false)
),

ended as (
    select
        *,
        case
            when cancelled_at is not null then cancelled_at
            when financial_status = 'REFUNDED' then coalesce(refunded_at, updated_at)
        end as ended_at
    from heads
)

select
    regexp_extract(id, '[0-9]+$') as order_id,
    nullif(customer_id, '') as customer_id,
    created_at as ordered_at,
    'PAID' as status,
    currency,
    created_at as updated_at
from ended
where ended_at > created_at and financial_status in ('PAID', 'PARTIALLY_PAID', 'PARTIALLY_REFUNDED', 'REFUNDED')
union -- an order that two files hold is there once
select
    regexp_extract(id, '[0-9]+$') as order_id,
    nullif(customer_id, '') as customer_id,
    created_at as ordered_at,
    case when cancelled_at is not null then 'CANCELLED' else financial_status end as status,
    currency,
    coalesce(ended_at, updated_at) as updated_at
from ended
order by order_id, updated_at

-- A price for some time: 2025-05-01T13:00+0200/2025-05-10T15:30+0200. When it was planned is not said: it counts from its
-- first moment on.
with sales as (
    select
        id,
        regexp_extract(price, '[0-9][0-9.,]*') as price_number,
        regexp_extract(coalesce("sale price", sale_price), '[0-9][0-9.,]*') as sale_number,
        string_split(coalesce("sale price effective date", sale_price_effective_date), '/') as dates
    from files.feed
    qualify row_number() over (partition by id order by title, price, link) = 1
),

dated as (
    select
        id,
        try_cast(
            regexp_replace(regexp_replace(price_number, '[.,]([0-9]{1,2})$', '_\1'), '[.,]', '', 'g').replace('_', '.') as double
        ) as price,
        try_cast(
            regexp_replace(regexp_replace(sale_number, '[.,]([0-9]{1,2})$', '_\1'), '[.,]', '', 'g').replace('_', '.') as double
        ) as sale_price,
        -- DuckDB wants seconds before an offset.
        try_cast(regexp_replace(trim(dates[1]), '^([0-9-]+T[0-9]{2}:[0-9]{2})([+-]|Z|$)', '\1:00\2') as timestamptz) as start_at,
        try_cast(regexp_replace(trim(dates[2]), '^([0-9-]+T[0-9]{2}:[0-9]{2})([+-]|Z|$)', '\1:00\2') as timestamptz) as end_at
    from sales
)

select
    'sale-' || id as promotion_id,
    id as product_id,
    'price' as kind,
    start_at as announced_at,
    start_at,
    end_at
from dated
where sale_price < price and start_at < end_at
order by promotion_id

-- The catalogue's stock has no date. It is booked before the first order (2025-01-08), so that
-- every week sees it; all 291 products have 5 or more, so it makes nothing unavailable.
select
    product_id::varchar as product_id,
    date '2025-01-01' as counted_at,
    stock_quantity::double as stock
from files.products

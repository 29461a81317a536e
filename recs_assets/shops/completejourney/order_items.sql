-- Money. `sales_value` is what the retailer received: loyalty and coupon-match discounts are
-- off already, the manufacturer's coupon is not (the maker refunds it). Hence
--     shelf amount  = sales_value + retail_disc + coupon_match_disc
--     customer paid = sales_value - coupon_disc
-- A coupon may exceed its line (3,507 lines): such a line cost nothing, and the discount stops
-- there too, so that amount + discount is the shelf amount of every line.
select
    basket_id::varchar as order_id,
    -- A product stands in a basket once (1,469,307 of 1,469,307).
    product_id::varchar as line_id,
    product_id::varchar as product_id,
    quantity::double as quantity,
    round(greatest(sales_value - coupon_disc, 0), 2) as amount,
    round(retail_disc + coupon_match_disc + least(coupon_disc, sales_value), 2) as discount
from files.transactions

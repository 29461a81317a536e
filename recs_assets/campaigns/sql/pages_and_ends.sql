select product_id, any_value(products.url) as url, any_value(products.end_at) as sale_end,
    min(offers.end_at) as offer_end
from marts.products as products
left join (
    select product_id, end_at from staging.stg_promotions
    where announced_at < $week and start_at <= $at and end_at > $at
) as offers using (product_id)
group by product_id order by product_id

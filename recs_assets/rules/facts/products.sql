select product_id, url, image_url, cost, parent_id, merchant_id, regexp_replace(
    case when json_valid(attributes) then json_extract_string(attributes, '$.countries') end,
    '[^A-Za-z]+', ' ', 'g'
) as countries
from marts.products order by product_id

select product_id, product_name as title, image_url, price, list_price, price_kind, price_from,
    round(price - cost, 6) as margin, currency, category, brand
from recs.products order by product_id

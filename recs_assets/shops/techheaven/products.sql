-- The catalogue's names, categories and prices win over those on the lines, which do not match
-- it ('Product 1' at 54.99 is a MacBook at 1099.00). `special_price` has no dates, so it is no
-- promotion. The shop's address is unknown, so the slug is an attribute and not a url.
select
    product_id::varchar as product_id,
    name,
    brand,
    category,
    price,
    concat_ws(chr(10), short_description, description) as description,
    json_object('sku', sku, 'slug', slug)::varchar as attributes
from files.products

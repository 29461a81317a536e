-- No catalogue price: the usual one of the lines stands in.
with cleaned as (
    select
        product_id,
        manufacturer_id,
        nullif(trim(regexp_replace(department, ' +', ' ', 'g')), 'NaN') as department,
        nullif(trim(brand), 'NaN') as brand,
        nullif(trim(regexp_replace(product_category, ' +', ' ', 'g')), 'NaN') as product_category,
        nullif(trim(regexp_replace(product_type, ' +', ' ', 'g')), 'NaN') as product_type,
        nullif(trim(regexp_replace(package_size, ' +', ' ', 'g')), 'NaN') as package_size
    from files.products
)

select
    product_id::varchar as product_id,
    -- The data has no titles; type and package are what a shopper would recognise.
    concat_ws(' ', coalesce(product_type, product_category, 'PRODUCT ' || product_id), package_size) as name,
    -- 'National' or 'Private': the maker is in the attributes.
    brand,
    product_category as category,
    department as vertical,
    json_object(
        'manufacturer', 'manufacturer' || manufacturer_id,
        'type', product_type,
        'package', package_size
    )::varchar as attributes
from cleaned

select
    review_id::varchar as review_id,
    customer_id::varchar as customer_id,
    product_id::varchar as product_id,
    rating::double as rating,
    review_date as reviewed_at,
    title,
    comment as body
from files.reviews

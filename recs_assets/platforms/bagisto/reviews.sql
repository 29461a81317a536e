-- Reviews that the shop let through. Those of guests name nobody.
select
    reviews.id as review_id,
    reviews.customer_id,
    coalesce(products.parent_id, reviews.product_id) as product_id,
    reviews.rating::double as rating,
    reviews.created_at as reviewed_at,
    reviews.title,
    reviews.comment as body
from files.product_reviews as reviews
left join files.products as products on reviews.product_id = products.id
where reviews.status = 'approved' and reviews.customer_id is not null
order by reviews.id

-- Reviews that the shop let through (1); of several ratings their mean. Those of guests name nobody.
with ratings as (
    select review_id, avg(value) as rating from files.rating_option_vote group by review_id
)

select
    reviews.review_id,
    details.customer_id,
    reviews.entity_pk_value as product_id,
    ratings.rating,
    reviews.created_at as reviewed_at,
    details.title,
    details.detail as body
from files.review as reviews
inner join files.review_detail as details on reviews.review_id = details.review_id
inner join ratings on reviews.review_id = ratings.review_id
where reviews.status_id = 1 and reviews.entity_id = '1' and details.customer_id is not null
order by reviews.review_id

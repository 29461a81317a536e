-- Reviews that the shop let through, by accounts and by guests who ordered under the same address.
with by_address as (
    select lower(trim(user_email)) as address, min("ID") as user_id from files.users
    where user_email <> '' group by 1
),

guests as (
    select distinct lower(trim(billing_email)) as address from files.wc_orders where type = 'shop_order'
)

select
    comments."comment_ID" as review_id,
    coalesce(nullif(comments.user_id, '0'), by_address.user_id, md5(guests.address)) as customer_id,
    comments."comment_post_ID" as product_id,
    try_cast(ratings.meta_value as double) as rating,
    timezone('UTC', comments.comment_date_gmt) as reviewed_at,
    comments.comment_content as body
from files.comments as comments
inner join files.commentmeta as ratings on comments."comment_ID" = ratings.comment_id and ratings.meta_key = 'rating'
left join by_address on lower(trim(comments.comment_author_email)) = by_address.address
left join guests on lower(trim(comments.comment_author_email)) = guests.address
where
    comments.comment_type = 'review'
    and comments.comment_approved = '1'
    and coalesce(nullif(comments.user_id, '0'), by_address.user_id, guests.address) is not null
order by review_id

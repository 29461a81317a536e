-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does.
with meta as (
    select
        post_id,
        max(case when meta_key = '_manage_stock' then meta_value end) as manages_stock,
        max(case when meta_key = '_stock' then try_cast(nullif(meta_value, '') as double) end) as stock,
        max(case when meta_key = '_stock_status' then meta_value end) as stock_status,
        max(case when meta_key = '_backorders' then meta_value end) as backorders
    from files.postmeta
    where meta_key in ('_manage_stock', '_stock', '_stock_status', '_backorders')
    group by post_id
),

variable as (
    select distinct post_parent as product_id from files.posts where post_type = 'product_variation'
),

-- What is sold: a product, or its variations. These may share the stock of the product.
sellable as (
    select
        case when posts.post_type = 'product' then posts."ID" else posts.post_parent end as product_id,
        case
            when meta.stock_status = 'outofstock' then 0
            when meta.manages_stock = 'yes' and coalesce(meta.backorders, 'no') = 'no' then greatest(meta.stock, 0)
        end as stock
    from files.posts as posts
    inner join meta on posts."ID" = meta.post_id
    where
        posts.post_status = 'publish'
        and (
            posts.post_type = 'product_variation'
            or (posts.post_type = 'product' and posts."ID" not in (select variable.product_id from variable))
        )
)

select
    product_id,
    (
        select date_trunc('week', timezone('UTC', max(date_created_gmt)) + interval 1 day) - interval 1 second
        from files.wc_orders where type = 'shop_order'
    ) as counted_at,
    sum(stock) as stock
from sellable
group by product_id
having count(stock) = count(*)
order by product_id

-- Mailers and displays: 20.9 million rows of product, store and week become one row per product,
-- week and kind. `reach` is the share of that week's stores. A store stands twice where a product
-- has two displays, so stores are counted, not rows: by lists, which take 4 s and 0.4 GB where
-- count(distinct) takes 18 s and 1.2 GB.
-- Assumption: the data says when an offer ran, not when it was planned. Circulars are planned
-- weeks ahead, so an offer counts as known 28 days before it starts.
with stores as (
    select week, count(distinct store_id) as total
    from files.promotions
    group by week
),

-- Offers of the printed mailer and of the store's displays, side by side.
offers as (
    select
        week,
        product_id,
        coalesce(len(list_distinct(list(store_id) filter (mailer_location <> '0'))), 0) as mailer,
        coalesce(len(list_distinct(list(store_id) filter (display_location <> '0'))), 0) as display
    from files.promotions
    group by week, product_id
),

calendar as (
    select
        offers.*,
        stores.total,
        -- Week 2 is the one of Monday 2017-01-02.
        timestamp '2017-01-02' + to_days(7 * (week - 2)::integer) as start_at
    from offers
    inner join stores using (week)
),

weekly as (
    select 'mailer' as kind, week, product_id, start_at, mailer / total as reach
    from calendar
    where mailer > 0
    union all
    select 'display' as kind, week, product_id, start_at, display / total as reach
    from calendar
    where display > 0
),

-- Coupons of a campaign, known when it starts. A campaign's last day is inclusive.
-- The panel is fixed at 2,469 households; counting them in the transactions would let later
-- rows change the reach of an earlier campaign.
campaign_sizes as (
    select campaign_id, count(distinct household_id) / 2469 as reach
    from files.campaigns
    group by campaign_id
),

coupons as (
    select distinct
        campaign_id,
        product_id,
        campaign_descriptions.start_date,
        campaign_descriptions.end_date,
        campaign_sizes.reach
    from files.coupons
    inner join files.campaign_descriptions using (campaign_id)
    inner join campaign_sizes using (campaign_id)
)

select
    concat(kind, '-', week, '-', product_id) as promotion_id,
    product_id::varchar as product_id,
    kind,
    start_at - interval 28 days as announced_at,
    start_at,
    start_at + interval 7 days as end_at,
    reach
from weekly
union all
select
    concat('coupon-', campaign_id, '-', product_id) as promotion_id,
    product_id::varchar as product_id,
    'coupon' as kind,
    start_date as announced_at,
    start_date as start_at,
    end_date + interval 1 day as end_at,
    reach
from coupons
order by start_at, promotion_id

{#- Days of sales that a usual price is made of: the first window with enough of them counts. -#}
{%- set recent, longest = 91, 364 -%}
-- What one unit costs at each anchor: the catalogue's price, else a usual price of the sales before the
-- anchor, before discounts. No buyer and no day has more than one vote, so neither a reseller's break nor
-- one day's clearance moves it. Where fewer than six votes in ten lie within a quarter of the middle (goods
-- sold by weight), there is no usual price: what may be said is "from".
with anchors as (
    {{ anchors() }}
    union
    select {{ as_of_date() }} as as_of

),

catalogue as (

    -- A price of 0 in the catalogue is a gift's, or a gap: what was paid says which.
    select
        product_id,
        nullif(price, 0) as price,
        price = 0 as is_zero
    from {{ ref('stg_products') }}

),

lines as (

    select
        lines.product_id,
        -- An order without a customer is somebody of its own.
        coalesce(lines.customer_id, 'order ' || lines.order_id) as buyer,
        cast(lines.ordered_at as date) as sold_on,
        {{ round_to('(lines.amount + lines.discount) / lines.quantity', 6) }} as price
    from {{ ref('order_lines') }} as lines
    inner join catalogue on lines.product_id = catalogue.product_id and catalogue.price is null
    where lines.learned_from and lines.amount is not null

),

dated as (

    select
        anchors.as_of,
        lines.*,
        lines.sold_on >= {{ days_before('anchors.as_of', recent) }} as is_recent,
        max(lines.price) over (partition by anchors.as_of, lines.product_id) as highest_price
    from lines
    inner join anchors
        on
            lines.sold_on < anchors.as_of
            and lines.sold_on >= {{ days_before('anchors.as_of', longest) }}

),

known as (

    -- What came for nothing, as a gift or as part of a bundle, says nothing of what it costs otherwise.
    select * from dated where price > 0 or highest_price = 0

),

sales as (

    select
        as_of,
        product_id,
        {{ count_where('is_recent') }} >= {{ var('min_price_lines') }}
        or count(distinct case when is_recent then buyer end)
        >= {{ var('min_price_buyers') }} as recent_suffices,
        count(*) >= {{ var('min_price_lines') }}
        or count(distinct buyer) >= {{ var('min_price_buyers') }} as suffices
    from known
    group by as_of, product_id

),

shared as (

    select
        known.as_of,
        known.product_id,
        known.price,
        count(*) over (partition by known.as_of, known.product_id, known.buyer) as lines_of_buyer,
        count(*) over (partition by known.as_of, known.product_id, known.sold_on) as lines_of_day
    from known
    inner join sales on known.as_of = sales.as_of and known.product_id = sales.product_id
    where sales.suffices and (known.is_recent or not sales.recent_suffices)

),

votes as (

    -- Billionths as whole numbers: the order of the rows changes no sum, and no engine rounds a share of it.
    select
        as_of,
        product_id,
        price,
        sum(cast(round(1e9 / greatest(lines_of_buyer, lines_of_day)) as bigint)) as votes
    from shared
    group by as_of, product_id, price

),

ordered as (

    select
        *,
        sum(votes) over (partition by as_of, product_id order by price) as votes_up_to,
        sum(votes) over (partition by as_of, product_id) as all_votes
    from votes

),

middles as (

    -- Of two middle ones the higher: nobody is promised less than they pay.
    select
        as_of,
        product_id,
        min(case when 2 * votes_up_to > all_votes then price end) as price,
        min(case when 10 * votes_up_to > all_votes then price end) as price_from,
        max(all_votes) as votes
    from ordered
    group by as_of, product_id

),

judged as (

    select
        middles.as_of,
        middles.product_id,
        middles.price,
        middles.price_from,
        middles.votes,
        sum(case when abs(votes.price - middles.price) <= 0.25 * middles.price then votes.votes end)
            as votes_near
    from middles
    inner join votes on middles.as_of = votes.as_of and middles.product_id = votes.product_id
    group by middles.as_of, middles.product_id, middles.price, middles.price_from, middles.votes

),

kinds as (

    -- A lowest tenth needs ten votes.
    select
        as_of,
        product_id,
        {{ round_to('price', 2) }} as price,
        {{ round_to('price_from', 2) }} as price_from,
        case
            when 10 * coalesce(votes_near, 0) >= 6 * votes then 'usual'
            when votes >= 10000000000 then 'varies'
        end as price_kind
    from judged

),

final as (

    select
        anchors.as_of,
        catalogue.product_id,
        coalesce(
            catalogue.price,
            case when kinds.price_kind is not null then kinds.price end,
            case when catalogue.is_zero then 0 end
        ) as price,
        case when catalogue.price is null and kinds.price_kind = 'varies' then kinds.price_from end
            as price_from,
        case
            when
                catalogue.price is not null or (catalogue.is_zero and kinds.price_kind is null)
                then 'catalogue'
            else kinds.price_kind
        end as price_kind
    from catalogue
    cross join anchors
    left join kinds on anchors.as_of = kinds.as_of and catalogue.product_id = kinds.product_id

)

select * from final
order by as_of, product_id

-- One week's lists, after those of newer weeks (variables: week, and until, the next week): the rows that events
-- name, what was bought after them, and the counts.
create or replace temp view rows_of_week as
select * from listed
where as_of >= getvariable('week') and as_of < getvariable('week') + 7;

-- An event may name a row of an older list: it waits until its row is found.
insert into pending
select * from events
where
    event_type in ('shown', 'clicked', 'added_to_cart')
    and recommendation_id is not null
    and occurred_at >= getvariable('week')
    and occurred_at < getvariable('until');

create or replace temp table hits as
with named as (

    -- A row of somebody else's list is nobody's: a forwarded email was not sent to who clicks in it.
    select
        pending.event_id,
        pending.event_type,
        pending.occurred_at,
        pending.session_id,
        pending.customer_id,
        if(pending.placement is null, 'email', 'page') as channel,
        coalesce(pending.placement, rows.campaign, pending.campaign) as campaign,
        rows.recommendation_id,
        rows.list,
        rows.as_of,
        rows.rank as slot,
        rows.slot_type,
        rows.reason_code as reason,
        rows.source,
        rows.product_id as product,
        coalesce(rows.arm, pending.arm) as arm
    from rows_of_week as rows
    inner join pending on rows.recommendation_id = pending.recommendation_id
    where rows.customer_id is null or rows.customer_id = pending.customer_id

),

pointed as (

    select
        events.*,
        coalesce(goods.good, events.product_id) as good
    from mail_events as events
    left join goods on events.product_id = goods.product_id
    where events.event_type <> 'opened' and events.as_of >= getvariable('week') and events.as_of < getvariable('until')

),

found as (

    select
        pointed.event_id,
        pointed.event_type,
        pointed.occurred_at,
        pointed.session_id,
        pointed.customer_id,
        'email' as channel,
        pointed.campaign,
        rows.recommendation_id,
        rows.list,
        rows.as_of,
        rows.rank as slot,
        rows.slot_type,
        rows.reason_code as reason,
        rows.source,
        rows.product_id as product,
        rows.arm,
        pointed.good as wanted
    from rows_of_week as rows
    inner join pointed
        on
            rows.campaign = pointed.campaign
            and rows.customer_id = pointed.customer_id
            and rows.as_of = pointed.as_of
    where rows.list = 'email_recommendations'

),

both_kinds as (

    select
        *,
        null as wanted
    from named
    union all
    select * from found

)

select
    both_kinds.* exclude (wanted),
    coalesce(goods.good, both_kinds.product) as good,
    goods.category,
    people.segment
from both_kinds
inner join people on both_kinds.customer_id = people.customer_id
left join goods on both_kinds.product = goods.product_id
where both_kinds.wanted is null or both_kinds.wanted = coalesce(goods.good, both_kinds.product);

delete from pending where event_id in (select event_id from hits);

insert into touches by name
with opens_and_orders as (

    select
        opens.event_id,
        opens.occurred_at,
        opens.campaign,
        opens.as_of,
        bought.*
    from mail_events as opens
    inner join bought
        on
            opens.customer_id = bought.customer_id
            and opens.occurred_at <= bought.ordered_at
            and bought.ordered_at <= opens.occurred_at + to_days(getvariable('view_days'))
    where opens.event_type = 'opened' and opens.as_of >= getvariable('week') and opens.as_of < getvariable('until')

),

rows_opened as (

    select
        opens.order_id,
        opens.line_id,
        opens.good,
        opens.customer_id,
        opens.occurred_at as touched_at,
        opens.event_id,
        rows.campaign,
        rows.recommendation_id,
        rows.list,
        rows.as_of,
        rows.rank as slot,
        rows.slot_type,
        rows.reason_code as reason,
        rows.source,
        rows.product_id as product,
        rows.arm
    from rows_of_week as rows
    inner join opens_and_orders as opens
        on
            rows.campaign = opens.campaign
            and rows.customer_id = opens.customer_id
            and rows.as_of = opens.as_of
    where rows.list = 'email_recommendations'

),

touches as (

    select
        bought.order_id,
        bought.line_id,
        hits.event_type as touch,
        hits.occurred_at as touched_at,
        hits.* exclude (event_type, occurred_at, session_id, customer_id, good)
    from hits
    inner join bought
        on
            hits.customer_id = bought.customer_id
            and hits.good = bought.good
            and hits.occurred_at <= bought.ordered_at
    where
        hits.event_type = 'clicked'
        and bought.ordered_at <= hits.occurred_at + to_days(getvariable('click_days'))
        or hits.event_type = 'shown'
        and bought.ordered_at <= hits.occurred_at + to_days(getvariable('view_days'))
    union all by name
    select
        rows_opened.* exclude (good, customer_id),
        'opened' as touch,
        'email' as channel,
        goods.category,
        people.segment
    from rows_opened
    inner join people on rows_opened.customer_id = people.customer_id
    left join goods on rows_opened.product = goods.product_id
    where rows_opened.good = coalesce(goods.good, rows_opened.product)

)

select
    *,
    getvariable('week') as week
from touches;

-- What became of a row that an event names, per customer.
create or replace temp table outcomes as
with hits_followed as (

    select
        hits.event_id,
        hits.recommendation_id,
        hits.customer_id,
        bool_or(interest.is_cart) as in_cart
    from hits
    inner join interest
        on
            hits.customer_id = interest.customer_id
            and hits.good = interest.good
            and hits.occurred_at <= interest.occurred_at
            and interest.occurred_at <= hits.occurred_at + interval 1 day
    where hits.event_type = 'clicked'
    group by all

),

carts as (

    select * from hits where event_type = 'added_to_cart'

),

clicks_carted as (

    select distinct
        hits.event_id,
        hits.recommendation_id,
        hits.customer_id
    from hits
    inner join carts
        on
            hits.customer_id = carts.customer_id
            and hits.good = carts.good
            and hits.occurred_at <= carts.occurred_at
            and carts.occurred_at <= hits.occurred_at + interval 1 day
    where hits.event_type = 'clicked'

)

select
    hits.channel,
    hits.campaign,
    hits.recommendation_id,
    hits.customer_id,
    any_value(hits.list) as list,
    any_value(hits.slot) as slot,
    any_value(hits.slot_type) as slot_type,
    any_value(hits.reason) as reason,
    any_value(hits.source) as source,
    any_value(hits.product) as product,
    any_value(hits.segment) as segment,
    min(hits.arm) as arm,
    bool_or(hits.event_type = 'shown') as shown,
    bool_or(hits.event_type = 'clicked') as clicked,
    bool_or(hits_followed.event_id is not null or clicks_carted.event_id is not null) as useful,
    bool_or(hits.event_type = 'added_to_cart' or coalesce(hits_followed.in_cart, false)) as in_cart
from hits
left join hits_followed
    on
        hits.event_id = hits_followed.event_id
        and hits.recommendation_id = hits_followed.recommendation_id
        and hits.customer_id = hits_followed.customer_id
left join clicks_carted
    on
        hits.event_id = clicks_carted.event_id
        and hits.recommendation_id = clicks_carted.recommendation_id
        and hits.customer_id = clicks_carted.customer_id
group by all;

create or replace temp view units as
with mails_of_week as (

    select
        mails.campaign,
        mails.customer_id,
        mails.as_of,
        people.segment,
        mails.sent_at is not null as sent,
        opens.customer_id is not null as opened
    from mails
    inner join people on mails.customer_id = people.customer_id
    left join (
        select distinct
            campaign,
            customer_id,
            as_of
        from mail_events
        where event_type = 'opened' and as_of >= getvariable('week') and as_of < getvariable('until')
    ) as opens
        on
            mails.campaign = opens.campaign
            and mails.customer_id = opens.customer_id
            and mails.as_of = opens.as_of
    where mails.as_of >= getvariable('week') and mails.as_of < getvariable('until')

)

select
    'email' as channel,
    rows.campaign,
    rows.list,
    rows.rank as slot,
    rows.slot_type,
    rows.reason_code as reason,
    rows.source,
    rows.product_id as product,
    mails.segment,
    rows.arm,
    mails.sent,
    mails.opened,
    outcomes.shown,
    outcomes.clicked,
    outcomes.useful,
    outcomes.in_cart
from rows_of_week as rows
inner join mails_of_week as mails
    on
        rows.campaign = mails.campaign
        and rows.customer_id = mails.customer_id
        and rows.as_of = mails.as_of
left join outcomes
    on
        rows.recommendation_id = outcomes.recommendation_id
        and outcomes.channel = 'email'
        and rows.campaign = outcomes.campaign
where rows.list = 'email_recommendations'
union all by name
-- Of the shop's pages, what was on a list but not before anybody's eyes does not count.
select
    * exclude (recommendation_id, customer_id),
    null as sent,
    null as opened
from outcomes
where not (channel = 'email' and list = 'email_recommendations');

-- Added up as far as no dimension is lost: the millions of rows are read once.
create or replace temp table tallies as
with added_up as (

    select
        channel,
        campaign,
        list,
        slot,
        slot_type,
        reason,
        source,
        segment,
        arm,
        product,
        grouping(product) = 0 as is_of_product,
        count(*) as recommendations,
        count(*) filter (where sent) as sent,
        count(*) filter (where sent and slot = 1) as sends,
        count(*) filter (where shown) as shown,
        count(*) filter (where opened) as opened,
        count(*) filter (where clicked) as clicks,
        count(*) filter (where useful) as useful_clicks,
        count(*) filter (where in_cart) as add_to_carts
    from units
    group by grouping sets (
        (channel, campaign, list, slot, slot_type, reason, source, segment, arm), (channel, campaign, product)
    )

)

select
    added_up.*,
    goods.category
from added_up
left join goods on added_up.product = goods.product_id;

-- One week's lists, after those of newer weeks (variables: week, and until, the next week): the rows that events
-- name, what was bought after them, and the counts.
create or replace temp view rows_of_week as
select
    * exclude (rank, reason_code, product_id),
    rank as slot,
    reason_code as reason,
    product_id as product
from listed
where as_of >= getvariable('week') and as_of < getvariable('week') + 7;

-- An event may name a row of an older list: it is pending until its row is found.
create or replace temp view naming as
select * from events
where
    event_type in ('shown', 'clicked', 'added_to_cart')
    and recommendation_id is not null
    and occurred_at >= getvariable('week')
    and occurred_at < getvariable('until')
union all
select * from pending;

-- A row of somebody else's list is nobody's: a forwarded email was not sent to who clicks in it.
create or replace temp table named as
select naming.*
from rows_of_week as rows
inner join naming on rows.recommendation_id = naming.recommendation_id
semi join people on naming.customer_id = people.customer_id
where rows.customer_id is null or rows.customer_id = naming.customer_id;

create or replace temp table pending as
select * from naming
where event_id not in (select event_id from named);

-- What was shown on pages and neither clicked nor bought within the window is the most by far: it is counted below
-- without its row's columns.
create or replace temp table hits as
with telling as (

    select * from named
    where
        placement is null
        or event_type <> 'shown'
        or exists (
            select 1
            from bought
            where
                bought.customer_id = named.customer_id
                and bought.ordered_at >= named.occurred_at
                and bought.ordered_at <= named.occurred_at + to_days(getvariable('view_days'))
        )

),

by_id as (

    select
        telling.event_id,
        telling.event_type,
        telling.occurred_at,
        telling.session_id,
        telling.customer_id,
        if(telling.placement is null, 'email', 'page') as channel,
        coalesce(telling.placement, rows.campaign, telling.campaign) as campaign,
        rows.recommendation_id,
        rows.list,
        rows.as_of,
        rows.slot,
        rows.slot_type,
        rows.reason,
        rows.source,
        rows.product,
        if(telling.placement is null and rows.arm is not null, rows.arm, telling.arm) as arm
    from rows_of_week as rows
    inner join telling on rows.recommendation_id = telling.recommendation_id

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
        rows.slot,
        rows.slot_type,
        rows.reason,
        rows.source,
        rows.product,
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
    from by_id
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
        rows.slot,
        rows.slot_type,
        rows.reason,
        rows.source,
        rows.product,
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

-- Clicks that were meant, and what came into the cart, by row and customer.
create or replace temp table followed as
with interested as (

    select
        customer_id,
        good,
        occurred_at,
        is_cart
    from interest
    union all
    select
        customer_id,
        good,
        occurred_at,
        true as is_cart
    from hits
    where event_type = 'added_to_cart'

),

signs as (

    select
        hits.channel,
        hits.campaign,
        hits.recommendation_id,
        hits.customer_id,
        true as useful,
        interested.is_cart as in_cart
    from hits
    inner join interested
        on
            hits.customer_id = interested.customer_id
            and hits.good = interested.good
            and hits.occurred_at <= interested.occurred_at
            and interested.occurred_at <= hits.occurred_at + interval 1 day
    where hits.event_type = 'clicked'
    union all
    select
        channel,
        campaign,
        recommendation_id,
        customer_id,
        false as useful,
        true as in_cart
    from hits
    where event_type = 'added_to_cart'

)

select
    channel,
    campaign,
    recommendation_id,
    customer_id,
    bool_or(useful) as useful,
    bool_or(in_cart) as in_cart
from signs
group by all;

-- What became of a row that an event names, per customer.
create or replace temp table outcomes as
with seen as (

    select
        'page' as channel,
        placement as campaign,
        recommendation_id,
        customer_id,
        min(arm) as arm,
        bool_or(event_type = 'shown') as shown,
        bool_or(event_type = 'clicked') as clicked
    from named
    where placement is not null
    group by all
    union all
    select
        channel,
        campaign,
        recommendation_id,
        customer_id,
        min(arm) as arm,
        bool_or(event_type = 'shown') as shown,
        bool_or(event_type = 'clicked') as clicked
    from hits
    where channel = 'email'
    group by all

)

select
    seen.*,
    coalesce(followed.useful, false) as useful,
    coalesce(followed.in_cart, false) as in_cart
from seen
left join followed
    on
        seen.channel = followed.channel
        and seen.campaign = followed.campaign
        and seen.recommendation_id = followed.recommendation_id
        and seen.customer_id = followed.customer_id;

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
    rows.slot,
    rows.slot_type,
    rows.reason,
    rows.source,
    rows.product,
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
    outcomes.* exclude (recommendation_id, customer_id),
    rows.list,
    rows.slot,
    rows.slot_type,
    rows.reason,
    rows.source,
    rows.product,
    people.segment,
    null as sent,
    null as opened
from rows_of_week as rows
inner join outcomes on rows.recommendation_id = outcomes.recommendation_id
inner join people on outcomes.customer_id = people.customer_id
where not (outcomes.channel = 'email' and rows.list = 'email_recommendations');

-- Whose visits they were.
create or replace temp view visits as
select
    named.placement as campaign,
    named.session_id,
    named.arm,
    people.segment,
    'page' as channel
from named
inner join people on named.customer_id = people.customer_id
where named.placement is not null
union all by name
select
    channel,
    campaign,
    session_id,
    arm,
    segment
from hits
where channel = 'email';

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

-- What every week needs: products, customers, purchases, and emails with when they were sent and opened.
-- Variables: as_of, since (the oldest week that is kept), timezone, click_days, view_days. View: listed.
create or replace temp table goods as
select
    product_id,
    -- Variants of one parent are one good: who clicks the red shirt and buys the blue one was won by it.
    coalesce(parent_id, product_id) as good,
    category,
    is_product,
    cost
from marts.products;

create or replace temp table people as
select
    customer_id,
    segment
from marts.customers;

-- A shared browser's events are nobody's, and so are strangers'.
create or replace temp view events as
select
    event_id,
    customer_id,
    campaign,
    placement,
    product_id,
    event_type,
    occurred_at,
    recommendation_id,
    session_id,
    arm
from intermediate.int_campaign_events_attributed
where
    customer_id is not null
    and known_until is null
    and occurred_at >= getvariable('since')
    and occurred_at < getvariable('as_of');

create or replace temp table bought as
select
    lines.order_id,
    lines.line_id,
    lines.customer_id,
    lines.product_id,
    coalesce(goods.good, lines.product_id) as good,
    lines.ordered_at
from marts.order_lines as lines
semi join people on lines.customer_id = people.customer_id
left join goods on lines.product_id = goods.product_id
where lines.ordered_at >= getvariable('since') and lines.ordered_at < getvariable('as_of');

-- One row per email. The event names no list: it is the one whose week it was sent in.
create or replace temp table mails as
with sent as (

    select
        campaign,
        customer_id,
        date_trunc('week', occurred_at) as week,
        min(occurred_at) as sent_at
    from events
    where event_type in ('sent', 'delivered') and placement is null
    group by all

),

planned as (

    -- Whoever was two customers then may have got two: they count from the first on.
    select
        campaign,
        customer_id,
        as_of,
        timezone(getvariable('timezone'), min(send_at)) as send_at
    from listed
    where list = 'email_recommendations' and rank = 1
    group by campaign, customer_id, as_of

)

select
    planned.*,
    sent.sent_at,
    coalesce(sent.sent_at, planned.send_at) as live_at
from planned
left join sent
    on
        planned.campaign = sent.campaign
        and planned.customer_id = sent.customer_id
        and date_trunc('week', planned.send_at) = sent.week;

-- Campaigns whose sending the shop reports: of the others nobody knows what was sent.
create or replace temp table reported as
select distinct campaign
from mails
where sent_at is not null;

-- When a campaign began to hold customers out: what they spent before that is no effect of it. Where the oldest list that is
-- kept holds some out already, it began no later than the first email that the shop reports.
create or replace temp table holdouts as
with held as (

    select
        campaign,
        min(as_of) as first_held
    from held_out
    group by campaign

),

lists as (

    select
        campaign,
        min(as_of) as first_listed
    from listed
    where list = 'email_recommendations'
    group by campaign

),

sends as (

    select
        campaign,
        min(occurred_at) as first_sent
    from intermediate.int_campaign_events_attributed
    where event_type = 'sent' and placement is null
    group by campaign

)

select
    held.campaign,
    case
        when lists.first_listed < held.first_held then cast(held.first_held as timestamp)
        else least(cast(held.first_held as timestamp), sends.first_sent)
    end as began_at
from held
left join lists on held.campaign = lists.campaign
left join sends on held.campaign = sends.campaign;

-- An event of an email that names no row is the newest email's that was out by then.
create or replace temp table mail_events as
select
    events.event_id,
    events.event_type,
    events.occurred_at,
    events.session_id,
    events.product_id,
    mails.campaign,
    mails.customer_id,
    mails.as_of
from (
    select * from events
    where
        placement is null
        and (
            event_type = 'opened'
            or event_type in ('shown', 'clicked', 'added_to_cart')
            and recommendation_id is null
            and product_id is not null
        )
) as events
asof join mails
    on
        events.campaign = mails.campaign
        and events.customer_id = mails.customer_id
        and events.occurred_at >= mails.live_at;

-- What shows that a click was meant: into the cart, or half a minute of looking.
create or replace temp table interest as
select
    visits.customer_id,
    coalesce(goods.good, visits.product_id) as good,
    visits.occurred_at,
    visits.event_type = 'add_to_cart' as is_cart
from intermediate.int_browsing_events_attributed as visits
left join goods on visits.product_id = goods.product_id
where
    visits.customer_id is not null
    and visits.known_until is null
    and visits.occurred_at >= getvariable('since')
    and visits.occurred_at < getvariable('as_of')
    and (visits.event_type = 'add_to_cart' or visits.event_type = 'view' and visits.duration_seconds >= 30);

create or replace temp table pending as
select * from events
limit 0;

create or replace temp table touches (
    order_id varchar,
    line_id varchar,
    touch varchar,
    touched_at timestamp,
    event_id varchar,
    channel varchar,
    campaign varchar,
    recommendation_id varchar,
    list varchar,
    as_of date,
    week date,
    slot integer,
    slot_type varchar,
    reason varchar,
    source varchar,
    product varchar,
    category varchar,
    segment varchar,
    arm varchar
);

create or replace temp table counts (
    week date,
    channel varchar,
    campaign varchar,
    dimension varchar,
    value varchar,
    recommendations bigint,
    sent bigint,
    sends bigint,
    shown bigint,
    opened bigint,
    clicks bigint,
    useful_clicks bigint,
    add_to_carts bigint
);

create or replace temp table sessions (
    week date,
    channel varchar,
    campaign varchar,
    dimension varchar,
    value varchar,
    sessions bigint
);

create or replace temp table gained (
    campaign varchar,
    week date,
    held_out bigint,
    gain double,
    gain_low double,
    gain_high double
);

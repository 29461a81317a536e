-- One week's lists (variable: week): the rows that events name, what was bought after them, and the counts.
create or replace temp view rows_of_week as
select
    listed.recommendation_id,
    listed.list,
    listed.as_of,
    listed.campaign,
    listed.customer_id,
    listed.rank as slot,
    listed.slot_type,
    listed.reason_code as reason,
    listed.source,
    listed.product_id as product,
    coalesce(goods.good, listed.product_id) as good,
    goods.category,
    listed.arm
from listed
left join goods on listed.product_id = goods.product_id
where listed.as_of >= getvariable('week') and listed.as_of < getvariable('week') + 7;

create or replace temp table hits as
with hits as (

    -- A row of somebody else's list is nobody's: a forwarded email was not sent to who clicks in it.
    select
        events.event_id,
        events.event_type,
        events.occurred_at,
        events.session_id,
        events.customer_id,
        if(events.placement is null, 'email', 'page') as channel,
        coalesce(events.placement, named.campaign, events.campaign) as campaign,
        named.* exclude (customer_id, campaign, arm),
        coalesce(named.arm, events.arm) as arm
    from rows_of_week as named
    inner join events on named.recommendation_id = events.recommendation_id
    where
        events.event_type in ('shown', 'clicked', 'added_to_cart')
        and events.occurred_at >= getvariable('week')
        and (named.customer_id is null or named.customer_id = events.customer_id)
    union all
    select
        events.event_id,
        events.event_type,
        events.occurred_at,
        events.session_id,
        events.customer_id,
        'email' as channel,
        events.campaign,
        named.* exclude (customer_id, campaign, arm),
        named.arm
    from mail_events as events
    left join goods on events.product_id = goods.product_id
    inner join rows_of_week as named
        on
            events.campaign = named.campaign
            and events.customer_id = named.customer_id
            and events.as_of = named.as_of
            and coalesce(goods.good, events.product_id) = named.good
    where events.event_type <> 'opened' and named.list = 'email_recommendations'

)

select
    hits.*,
    people.segment
from hits
inner join people on hits.customer_id = people.customer_id;

insert into touches by name
with touches as (

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
        bought.order_id,
        bought.line_id,
        opens.event_type as touch,
        opens.occurred_at as touched_at,
        opens.event_id,
        'email' as channel,
        named.* exclude (customer_id, good),
        people.segment
    from mail_events as opens
    inner join bought
        on
            opens.customer_id = bought.customer_id
            and opens.occurred_at <= bought.ordered_at
            and bought.ordered_at <= opens.occurred_at + to_days(getvariable('view_days'))
    inner join rows_of_week as named
        on
            opens.campaign = named.campaign
            and opens.customer_id = named.customer_id
            and opens.as_of = named.as_of
            and bought.good = named.good
    inner join people on opens.customer_id = people.customer_id
    where opens.event_type = 'opened' and named.list = 'email_recommendations'

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
    any_value(hits.category) as category,
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
select
    'email' as channel,
    named.campaign,
    named.list,
    named.slot,
    named.slot_type,
    named.reason,
    named.source,
    named.product,
    named.category,
    people.segment,
    named.arm,
    mails.sent_at is not null as sent,
    opens.customer_id is not null as opened,
    outcomes.shown,
    outcomes.clicked,
    outcomes.useful,
    outcomes.in_cart
from rows_of_week as named
inner join people on named.customer_id = people.customer_id
left join mails
    on
        named.campaign = mails.campaign
        and named.customer_id = mails.customer_id
        and named.as_of = mails.as_of
        and mails.as_of >= getvariable('week')
left join (
    select distinct
        campaign,
        customer_id,
        as_of
    from mail_events
    where event_type = 'opened' and as_of >= getvariable('week')
) as opens
    on
        named.campaign = opens.campaign
        and named.customer_id = opens.customer_id
        and named.as_of = opens.as_of
left join outcomes
    on
        named.recommendation_id = outcomes.recommendation_id
        and outcomes.channel = 'email'
        and named.campaign = outcomes.campaign
where named.list = 'email_recommendations'
union all by name
-- Of the shop's pages, what was on a list but not before anybody's eyes does not count.
select
    * exclude (recommendation_id, customer_id),
    null as sent,
    null as opened
from outcomes
where not (channel = 'email' and list = 'email_recommendations');

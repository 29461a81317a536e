-- What the customers of one week's campaigns that hold some out spent from the send on, and in the eight weeks before anybody
-- was held out: later ones hold what the earlier emails did.
-- Everybody that was to be sent to counts, opened or not: who opens is no comparison.
with listed_and_held as (

    select
        campaign,
        customer_id,
        profile_id,
        send_at,
        false as is_held_out
    from listed
    where as_of = getvariable('week') and rank = 1 and list = 'email_recommendations'
    union all
    select
        campaign,
        customer_id,
        profile_id,
        send_at,
        true as is_held_out
    from held_out
    where as_of = getvariable('week') and rank = 1

),

-- Whoever was two customers then counts once, as what the id was that they are called by. Which of two that is has nothing to
-- do with the lot, so both groups keep their share of such people.
customers as (

    select
        campaign,
        customer_id,
        timezone(getvariable('timezone'), send_at) as send_at,
        is_held_out
    from listed_and_held
    qualify row_number() over (
        partition by campaign, customer_id
        order by coalesce(profile_id, customer_id) <> customer_id, profile_id, is_held_out
    ) = 1

),

compared as (

    select
        customers.*,
        holdouts.began_at
    from customers
    semi join people on customers.customer_id = people.customer_id
    inner join holdouts on customers.campaign = holdouts.campaign
    where
        customers.campaign in (select campaign from customers where is_held_out)
        and customers.campaign in (select campaign from customers where not is_held_out)

),

spent as (

    select
        compared.campaign,
        compared.customer_id,
        coalesce(sum(cast(lines.net_amount as decimal(38, 6))) filter (
            where
            lines.ordered_at >= compared.send_at
            and lines.ordered_at < compared.send_at + to_days(getvariable('click_days'))
        ), 0) as after_send,
        coalesce(sum(cast(lines.net_amount as decimal(38, 6))) filter (
            where lines.ordered_at < compared.began_at and lines.ordered_at >= compared.began_at - interval 56 days
        ), 0) as before_start
    from compared
    inner join marts.order_lines as lines on compared.customer_id = lines.customer_id
    where
        lines.ordered_at >= compared.began_at - interval 56 days
        and lines.ordered_at < getvariable('as_of')
        and lines.ordered_at < compared.send_at + to_days(getvariable('click_days'))
    group by compared.campaign, compared.customer_id

)

select
    compared.campaign,
    compared.is_held_out,
    cast(coalesce(spent.after_send, 0) as double) as after_send,
    cast(coalesce(spent.before_start, 0) as double) as before_start
from compared
left join spent on compared.campaign = spent.campaign and compared.customer_id = spent.customer_id
order by compared.campaign, compared.is_held_out, compared.customer_id;

-- What the features and rules say about who was shown what, and what they made of it. Put into the cart and
-- bought count as clicked:
-- whoever did that has taken it up, though the shop may not report the click.
with anchors as (
    {{ anchors() }}

),

customers as (

    select
        customer_id,
        joined_at
    from {{ ref('customers') }}
    where learned_from

),

events as (

    select
        *,
        event_type in ('clicked', 'added_to_cart', 'purchased') as is_click
    from {{ ref('int_campaign_events_attributed') }}
    where
        product_id is not null
        and event_type in ('shown', 'clicked', 'dismissed', 'added_to_cart', 'purchased')

),

known as (

    select
        anchors.as_of,
        events.customer_id,
        events.product_id,
        events.event_type,
        events.is_click,
        events.occurred_at,
        {{ days_between('events.occurred_at', 'anchors.as_of') }} as age_days,
        max(case when events.is_click then events.occurred_at end)
            over (partition by anchors.as_of, events.customer_id, events.product_id) as last_clicked_at
    from events
    inner join customers on events.customer_id = customers.customer_id
    inner join anchors on {{ is_theirs('events', 'anchors.as_of') }}
    where customers.joined_at is null or customers.joined_at < anchors.as_of

),

final as (

    select
        as_of,
        customer_id,
        product_id,
        {{ count_where("event_type = 'shown' and age_days <= 91") }} as shown_91d,
        {{ count_where("is_click and age_days <= 91") }} as clicked_91d,
        {{ count_where("event_type = 'shown' and age_days <= 28") }} as shown_28d,
        {{ count_where(
            "event_type = 'shown' and age_days <= 28 and (last_clicked_at is null or occurred_at > last_clicked_at)"
        ) }} as shown_not_clicked_28d,
        max(case when event_type = 'dismissed' then occurred_at end) as dismissed_at
    from known
    group by as_of, customer_id, product_id

)

select * from final
order by as_of, customer_id, product_id

-- One event per item. Somebody signed in has the id that the shop gave as user_id, which is that of its customers; the
-- browser or app is the visitor. The same event in the tables of today and of the day is one: its id is made of what it is.
with events as (
    select
        event_timestamp,
        event_name,
        user_pseudo_id,
        case
            when lower(trim(user_id)) not in ('', 'null', 'undefined', '(not set)', 'guest', '0') then trim(user_id)
        end as customer_id,
        from_json(
            event_params, '[{"key": "VARCHAR", "value": {"string_value": "VARCHAR", "int_value": "BIGINT"}}]'
        ) as params,
        device ->> '$.category' as device,
        unnest(from_json(items, '[{"item_id": "VARCHAR"}]')) as item
    from files.ga4_events
    where event_name in ('view_item', 'add_to_cart', 'add_to_wishlist')
),

named as (
    select
        *,
        trim(item.item_id) as product_id,
        list_filter(params, lambda param: param.key = 'ga_session_id')[1].value.int_value as session_number,
        list_filter(params, lambda param: param.key = 'page_referrer')[1].value.string_value as referrer
    from events
)

select
    md5(concat_ws('|', user_pseudo_id, event_timestamp::varchar, event_name, product_id)) as event_id,
    max(customer_id) as customer_id,
    product_id,
    case event_name when 'view_item' then 'view' else event_name end as event_type,
    timezone('UTC', make_timestamp(event_timestamp)) as occurred_at,
    max(referrer) as referrer,
    max(device) as device,
    -- A number of a session is one of its visitor.
    user_pseudo_id || '.' || max(session_number)::varchar as session_id,
    user_pseudo_id as visitor_id
from named
where product_id not in ('', '(not set)')
group by user_pseudo_id, event_timestamp, event_name, product_id
order by event_id

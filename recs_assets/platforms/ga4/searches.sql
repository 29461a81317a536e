-- Both names that a search may have, once per visit and words. Words of digits come as a number.
with events as (
    select
        event_timestamp,
        user_pseudo_id,
        case
            when lower(trim(user_id)) not in ('', 'null', 'undefined', '(not set)', 'guest', '0') then trim(user_id)
        end as customer_id,
        from_json(
            event_params,
            '[{"key": "VARCHAR", "value": {"string_value": "VARCHAR", "int_value": "BIGINT", "double_value": "DOUBLE"}}]'
        ) as params
    from files.ga4_events
    where event_name in ('view_search_results', 'search')
),

named as (
    select
        *,
        list_filter(params, lambda param: param.key = 'search_term')[1].value as term,
        list_filter(params, lambda param: param.key = 'ga_session_id')[1].value.int_value as session_number
    from events
),

worded as (
    select
        *,
        trim(coalesce(term.string_value, term.int_value::varchar, term.double_value::varchar)) as query
    from named
)

select
    md5(concat_ws('|', user_pseudo_id, event_timestamp::varchar, query)) as search_id,
    customer_id,
    query,
    timezone('UTC', make_timestamp(event_timestamp)) as searched_at
from worded
where query <> ''
qualify
    row_number() over (
        partition by user_pseudo_id, coalesce(session_number, event_timestamp), lower(query)
        order by event_timestamp, customer_id nulls last, query
    ) = 1
order by search_id

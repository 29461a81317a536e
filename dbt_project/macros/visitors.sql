{#
  Events of a staging table, with whose they are. What a visitor did without signing in is their customer's for every
  anchor within [`known_from`, `known_until`): from when it had happened and they had signed in, until a second customer did.
  What somebody did who is erased is left out. Rows that are a stranger's have no customer.
#}
{% macro attributed(events, columns) -%}
with events as (

    select * from {{ events }}

),

visitors as (

    select * from {{ ref('int_visitors_identified') }}

),

erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

final as (

    select
        {%- for column in columns %}
        events.{{ column }},
        {%- endfor %}
        events.visitor_id,
        coalesce(events.customer_id, visitors.customer_id) as customer_id,
        case
            when events.customer_id is null then greatest(events.occurred_at, coalesce(visitors.identified_at, events.occurred_at))
            else events.occurred_at
        end as known_from,
        case when events.customer_id is null then visitors.shared_at end as known_until
    from events
    left join visitors on events.visitor_id = visitors.visitor_id
    left join erased on events.customer_id = erased.customer_id
    where
        erased.customer_id is null
        and (
            events.customer_id is not null
            or visitors.visitor_id is null
            or visitors.customer_id is not null
        )

)

select * from final
{%- endmacro %}

{# Such an event is known to be its customer's at an anchor. #}
{% macro is_theirs(events, anchor) -%}
    {{ events }}.known_from < {{ anchor }}
    and ({{ events }}.known_until is null or {{ events }}.known_until >= {{ anchor }})
{%- endmacro %}

with rejected as (
    {% for table in raw_tables() + declared_tables() %}
    select
        '{{ table.name }}' as source_table,
        {% for column in table.key -%}
        coalesce(cast({{ column }} as {{ dbt.type_string() }}), ''){{ " || '|' || " if not loop.last }}
        {%- endfor %} as row_key,
        reject_reason as reason,
        {% if table.event_at %}{{ table.event_at }}{% else %}cast(null as timestamp){% endif %} as event_at,
        {{ without_emails(row_json(table.columns)) }} as row_json,
        {{ 'customer_id' if table.person else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as customer_id
    from {{ ref('base_' ~ table.name) }}
    where reject_reason is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

erased as (

    select customer_id from {{ ref('int_consents_resolved') }} where consent_state = 'erased'

),

final as (

    select
        rejected.source_table,
        {{ without_emails('rejected.row_key') }} as row_key,
        rejected.reason,
        rejected.event_at,
        rejected.row_json
    from rejected
    left join erased on rejected.customer_id = erased.customer_id
    where erased.customer_id is null

)

select * from final
order by source_table, row_key, reason, event_at, row_json

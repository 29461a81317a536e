{{ config(meta={'dagster': {'ref': {'name': 'recs_order_lines'}}}) }}
-- Nothing in any published table is dated at or after as_of. Dates that are plans or labels
-- rather than events are left out: the week itself, its anchors, a product's sales period, the
-- end of a forecast's window, the date of an expected purchase, when an experiment runs, the week that
-- assigned a customer to an arm, and the week in which two profiles were parted.
{% set plans = ['as_of', 'anchor', 'start_at', 'end_at', 'window_end', 'expected_next_date', 'starts', 'ends', 'assigned_at', 'parted_at'] -%}
with findings as (
    {% for name in published_models() %}
    {% for column in published_columns(name, ['date', 'timestamp']) if column not in plans %}
    select
        '{{ name }}.{{ column }}' as found_in,
        count(*) as row_count
    from {{ ref(name) }}
    where not {{ is_known(column) }}
    union all
    {% endfor %}
    select
        '{{ name }}' as found_in,
        0 as row_count
    from (select * from {{ ref(name) }} limit 0) as shape
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from findings where row_count > 0

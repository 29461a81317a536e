{#
  What always holds for the columns of a model, in one test: a node of its own for each rule would take dbt longer
  than the query takes DuckDB. Stops with a sentence that names every column and rule that is broken.

    keys           lists of columns of which each is the grain: no duplicates, no nulls
    filled         columns that are never null
    accepted       column: values it may have
    related        column: model that holds each of its values, or {to: model, field: its column there}
    probabilities  columns between 0 and 1
    positions      column: the columns within which it counts 1, 2, ..., n (with its key: without a gap)
#}
{% test expectations(model, keys=[], filled=[], accepted={}, related={}, probabilities=[], positions={}) %}

{%- set scanned = [] -%}
{%- for column in filled -%}
    {%- do scanned.append((column ~ ' is null', column ~ ' is null')) -%}
{%- endfor -%}
{%- for column, values in accepted.items() -%}
    {%- set others = column ~ ' not in (' ~ sql_texts(values) ~ ')' -%}
    {%- do scanned.append((column ~ ' is none of its values', others)) -%}
{%- endfor -%}
{%- for column in probabilities -%}
    {%- do scanned.append((column ~ ' is not between 0 and 1', 'not ' ~ column ~ ' between 0 and 1')) -%}
{%- endfor -%}

with checked as (

    select * from {{ model }}

),
{% if scanned %}
scanned as (

    select
        {%- for _, condition in scanned %}
        count(case when {{ condition }} then 1 end) as broken_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}
    from checked

),
{% endif %}
{%- for columns in keys %}
key_{{ loop.index }} as (

    select count(*) as broken
    from (
        select {{ columns | join(', ') }}
        from checked
        group by {{ columns | join(', ') }}
        having
            count(*) > 1
            {%- for column in columns %}
            or {{ column }} is null
            {%- endfor %}
    ) as repeated

),
{% endfor %}
{%- for column, group_by in positions.items() %}
positions_{{ loop.index }} as (

    select count(*) as broken
    from (
        select {{ group_by | join(', ') }}
        from checked
        group by {{ group_by | join(', ') }}
        having min({{ column }}) <> 1 or max({{ column }}) <> count(*)
    ) as with_gaps

),
{% endfor %}
{%- for column, target in related.items() %}
{%- set parent, field = (target.to, target.field) if 'to' in target else (target, column) %}
related_{{ loop.index }} as (

    select count(*) as broken
    from (select distinct {{ column }} as value from checked where {{ column }} is not null) as child
    left join (select distinct {{ field }} as value from {{ parent }}) as parent on child.value = parent.value
    where parent.value is null

),
{% endfor %}
broken as (
    {% for rule, _ in scanned %}
    select
        '{{ rule }}' as rule,
        broken_{{ loop.index }} as broken
    from scanned
    union all
    {% endfor %}
    {%- for columns in keys %}
    select
        '{{ columns | join(", ") }} is no key' as rule,
        broken
    from key_{{ loop.index }}
    union all
    {% endfor %}
    {%- for column, group_by in positions.items() %}
    select
        '{{ column }} has gaps within {{ group_by | join(", ") }}' as rule,
        broken
    from positions_{{ loop.index }}
    union all
    {% endfor %}
    {%- for column, target in related.items() %}
    select
        '{{ column }} is not in {{ (target.to if 'to' in target else target).identifier }}' as rule,
        broken
    from related_{{ loop.index }}
    union all
    {% endfor %}
    select
        '' as rule,
        0 as broken
),

message as (

    select '{{ model.identifier }}: ' || {{ joined_text("rule || ' (' || broken || ')'", '; ', 'rule') }} as sentence
    from broken
    where broken > 0

)

select sentence
from message
where {{ fail_with('sentence') }} is not null

{% endtest %}

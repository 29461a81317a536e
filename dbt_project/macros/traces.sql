{#
  What a trace shows as lists. Python writes one column per recommender (rank_...) and per family
  (family_...), so that a new one needs no change here: the columns are read from the table.
#}

{# Names of the relation's columns; none while dbt parses, or before the table is there. #}
{% macro column_names(relation) -%}
    {%- set names = [] -%}
    {%- if execute and load_relation(relation) is not none -%}
        {%- do names.extend(adapter.get_columns_in_relation(relation) | map(attribute='name')) -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{# Of the columns that begin with the prefix, a list of {value, name without the prefix}, sorted; none if null or 0. #}
{% macro sorted_columns(columns, prefix, type, sign='') -%}
    {{ return(adapter.dispatch('sorted_columns', 'recs')(columns, prefix, type, sign)) }}
{%- endmacro %}

{% macro duckdb__sorted_columns(columns, prefix, type, sign) -%}
    list_sort(list_filter(cast([
        {%- for column in columns if column.startswith(prefix) %}
        {'value': {{ sign }}{{ adapter.quote(column) }}, 'name': '{{ column[prefix | length:] }}'}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    ] as struct(value {{ type }}, name varchar)[]), lambda entry: entry.value <> 0))
{%- endmacro %}

{# The recommenders' lists that hold the product, best rank first, then by name. #}
{% macro trace_sources(columns) -%}
    {{ return(adapter.dispatch('trace_sources', 'recs')(columns)) }}
{%- endmacro %}

{% macro duckdb__trace_sources(columns) -%}
    cast(list_transform(
        {{ sorted_columns(columns, 'rank_', 'integer') }},
        lambda list: {'source': list.name, 'rank': list.value}
    ) as struct(source varchar, rank integer)[])
{%- endmacro %}

{# What the families that raise the score add to it; apart, because within the list it would be added up per family. #}
{% macro trace_raised(columns) -%}
    {%- for column in columns if column.startswith('family_') -%}
    greatest({{ adapter.quote(column) }}, 0)
    {%- if not loop.last %} + {% endif -%}
    {%- else -%}
    0
    {%- endfor -%}
{%- endmacro %}

{# Families that moved the score, largest contribution first, then by name; `raised` is a column of trace_raised. #}
{% macro trace_families(columns, raised) -%}
    {{ return(adapter.dispatch('trace_families', 'recs')(columns, raised)) }}
{%- endmacro %}

{% macro duckdb__trace_families(columns, raised) -%}
    cast(list_transform(
        {{ sorted_columns(columns, 'family_', 'double', sign='-') }},
        lambda moved: {
            'family': moved.name,
            'contribution': -moved.value,
            'share': case when moved.value < 0 then -moved.value / {{ raised }} else 0 end
        }
    ) as struct(family varchar, contribution double, share double)[])
{%- endmacro %}

{# feature_1, feature_2, ... with their contributions, in that order, as far as they are filled. #}
{% macro trace_features(most) -%}
    {{ return(adapter.dispatch('trace_features', 'recs')(most)) }}
{%- endmacro %}

{% macro duckdb__trace_features(most) -%}
    cast(list_filter([
        {%- for place in range(1, most + 1) %}
        {'feature': feature_{{ place }}, 'contribution': feature_contribution_{{ place }}}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    ], lambda entry: entry.feature is not null) as struct(feature varchar, contribution double)[])
{%- endmacro %}

{# Traces as Python wrote them, with their lists; `keys` identify a row. #}
{% macro shown_traces(relation, keys) -%}
{%- set columns = column_names(relation) -%}
with traces as (

    select
        *,
        {{ trace_raised(columns) }} as raised
    from {{ relation }}
    where as_of = {{ as_of_date() }}

),

final as (

    select
        {% for key in keys %}{{ key }},
        {% endfor -%}
        ranker_score,
        base_score,
        p_purchase,
        {{ trace_sources(columns) }} as sources,
        {{ trace_families(columns, 'raised') }} as families,
        {{ trace_features(5) }} as features
    from traces

)

select * from final
order by {{ keys | join(', ') }}
{%- endmacro %}

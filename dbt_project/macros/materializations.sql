{#
  Tables and views in one statement. A week's build file has one writer and no reader until it is done, so nothing
  is gained by the names, renames and drops with which dbt-duckdb swaps a relation, and they were half of a small week.
#}

{% materialization table, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ drop_other_kind(target_relation) }}
    {% call statement('main') -%}
        create or replace table {{ target_relation }} as (
            {{ sql }}
        );
        {{ comments(target_relation) }}
    {%- endcall %}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent('select * from ' ~ target_relation) -%}
    {%- endif -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ drop_other_kind(target_relation) }}
    {% call statement('main') -%}
        create or replace view {{ target_relation }} as (
            {{ sql }}
        );
        {{ comments(target_relation) }}
    {%- endcall %}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A build file of an older version has a view where a table belongs, or the other way round. #}
{% macro drop_other_kind(relation) -%}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none and existing.type != relation.type -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
{%- endmacro %}

{# Comments of the relation and of its declared columns. #}
{% macro comments(relation) -%}
    {%- if config.persist_relation_docs() and model.description %}
    comment on {{ relation.type }} {{ relation }} is {{ duckdb_escape_comment(model.description) }};
    {%- endif %}
    {%- if config.persist_column_docs() %}
    {%- for column in model.columns.values() if column.description %}
    comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ duckdb_escape_comment(column.description) }};
    {%- endfor %}
    {%- endif %}
{%- endmacro %}

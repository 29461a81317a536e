{#
  The declared columns of a published model that Python writes, for its SELECT: all but those whose declaration
  says `filled: dbt` or `filled: export`. While dbt parses, and in a unit test, columns are not known: all of the relation's.
#}
{% macro written_columns(model_name, relation) -%}
    {%- if not execute or 'nodes' not in graph -%}
        {{ return(relation ~ '.*') }}
    {%- endif -%}
    {%- set names = [] -%}
    {%- for column in graph.nodes['model.' ~ project_name ~ '.' ~ model_name].columns.values() -%}
        {%- if column.config.meta.get('filled') not in ['dbt', 'export'] -%}
            {%- do names.append(relation ~ '.' ~ column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(names | join(',\n        ')) }}
{%- endmacro %}

{# The declared columns of a published model in their order, for its last SELECT; while dbt parses, and in a unit test, all there are. #}
{% macro declared_columns(model_name) -%}
    {%- if not execute or 'nodes' not in graph -%}
        {{ return('*') }}
    {%- endif -%}
    {{ return(graph.nodes['model.' ~ project_name ~ '.' ~ model_name].columns.keys() | join(',\n    ')) }}
{%- endmacro %}

{# A published model that is a table of Python's as it was written: this week's rows, in the order of the keys. #}
{% macro as_written(model_name, relation, keys) -%}
with written as (

    select * from {{ relation }} where as_of = {{ as_of_date() }}

),

final as (

    select
        {{ written_columns(model_name, 'written') }}
    from written

)

select * from final
order by {{ keys | join(', ') }}
{%- endmacro %}

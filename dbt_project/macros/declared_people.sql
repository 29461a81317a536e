{# Rows of a declared table, each with the person in place of the profile that the row has them under. #}
{% macro declared_people(relation) -%}
    {%- if by_person is defined -%}
    {{ by_person(relation) }}
    {%- else -%}
    select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}

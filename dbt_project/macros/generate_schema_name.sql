{# Schemas are named after the layer alone: staging, intermediate, marts, features, recs. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

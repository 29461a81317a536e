{# Schemas are named after the layer alone: staging, intermediate, marts, features, recs. On an engine that others use, too,
   they begin with what is the deployment's own. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var('RECS_DBT_SCHEMAS', '') ~ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

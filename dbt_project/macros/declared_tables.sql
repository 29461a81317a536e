{#
  Tables that a shop declares beside the canonical ones: none here. A shop with some has a project of its own, with
  this macro and their models written from its YAML (recs_assets/declared_tables/dbt.py).
#}
{% macro declared_tables() -%}
    {{ return([]) }}
{%- endmacro %}

{#
  Sum of fractions that does not depend on the order of the rows. Floating addition does, and
  threads add in any order, so two runs of one week would differ in the last digit.
#}
{% macro exact_sum(expression, decimals=9) -%}
    cast(sum(cast({{ expression }} as decimal(38, {{ decimals }}))) as double)
{%- endmacro %}

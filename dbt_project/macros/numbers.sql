{#
  Sum of fractions that does not depend on the order of the rows. Floating addition does, and
  threads add in any order, so two runs of one week would differ in the last digit. 38 digits
  hold any amount; 18 (values below a thousand million at nine decimals) add about twice as fast.
#}
{% macro exact_sum(expression, decimals=9, digits=38) -%}
    cast(sum(cast({{ expression }} as decimal({{ digits }}, {{ decimals }}))) as double)
{%- endmacro %}

{# Number of rows of a group for which the condition holds. #}
{% macro count_where(condition) -%}
    count(case when {{ condition }} then 1 end)
{%- endmacro %}

{# Rounded to so many decimals, ties away from zero. #}
{% macro round_to(expression, decimals) -%}
    {{ return(adapter.dispatch('round_to', 'recs')(expression, decimals)) }}
{%- endmacro %}

{% macro duckdb__round_to(expression, decimals) -%}
    round({{ expression }}, {{ decimals }})
{%- endmacro %}

{# Share or mean as a rounded double; null where there is nothing to divide by. #}
{% macro ratio(numerator, denominator, decimals=6) -%}
    {{ round_to("cast(" ~ numerator ~ " as double) / nullif(" ~ denominator ~ ", 0)", decimals) }}
{%- endmacro %}

{#
  Population standard deviation from whole-number sums: n, sum and sum of squares are exact, so
  the result does not depend on the order of the rows. Null with fewer than two values.
#}
{% macro deviation(n, total, squares) -%}
    case when {{ n }} >= 2 then
        {{ round_to(
            "sqrt(cast(" ~ n ~ " * " ~ squares ~ " as double) - cast(" ~ total ~ " as double) * " ~ total ~ ") / " ~ n, 6
        ) }}
    end
{%- endmacro %}

{# Of a group, the value of the row with the greatest `at`, of several the greatest; null where no row has one. #}
{% macro latest(value, at) -%}
    {{ return(adapter.dispatch('latest', 'recs')(value, at)) }}
{%- endmacro %}

{% macro duckdb__latest(value, at) -%}
    arg_max({{ value }}, struct_pack(at := {{ at }}, then_by := {{ value }}))
{%- endmacro %}

{# A value of the group that so large a share of the others does not exceed; null where none is known. #}
{% macro quantile(expression, share) -%}
    {{ return(adapter.dispatch('quantile', 'recs')(expression, share)) }}
{%- endmacro %}

{% macro duckdb__quantile(expression, share) -%}
    quantile_disc({{ expression }}, {{ share }})
{%- endmacro %}

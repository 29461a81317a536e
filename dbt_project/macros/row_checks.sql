{#
  The row checks. Each macro gives `when ... then 'reason'` branches for the `case` in a base
  model; the first that applies names the reason.
#}

{# Ids that cannot be used: absent (unless optional), with a NUL, or so long that they are no id. #}
{% macro when_id_is_bad(columns, optional=[]) -%}
    {%- for column in columns %}
    when {{ column }} is null then 'missing_key'
    {%- endfor %}
    {%- for column in columns + optional %}
    when {{ has_nul(column) }} then 'nul_character'
    {%- endfor %}
    {%- for column in columns + optional %}
    when length({{ column }}) > 1000 then 'too_long_id'
    {%- endfor %}
{%- endmacro %}

{# The row's own date; clocks that were never set write 1970. `newest`: the latest it can be. #}
{% macro when_date_is_bad(column, optional=false, newest=none) -%}
    {%- if not optional %}
    when {{ column }} is null then 'missing_date'
    {%- endif %}
    when {{ column }} < cast('1990-01-01' as timestamp) then 'implausible_date'
    when {{ column }} > {{ newest or newest_plausible() }} then 'future_date'
{%- endmacro %}

{% macro when_number_is_bad(column, optional=false) -%}
    {%- if not optional %}
    when {{ column }} is null then 'missing_value'
    {%- endif %}
    when not {{ is_finite(column) }} or abs({{ column }}) > 1e12 then 'implausible_number'
{%- endmacro %}

{#
  The row points at something that is not there. Something that appears at or after as_of is
  not there yet for a row known before: otherwise a later row would change an older week. A row whose
  pointer is null points at nothing, where that is allowed.
#}
{% macro when_orphan(reason, found, known_at=none, event_at=none, pointer=none) -%}
    when {% if pointer %}{{ pointer }} is not null and {% endif %}{{ found }} is null then '{{ reason }}'
    {%- if known_at %}
    when {{ is_known(event_at) }} and not {{ is_known(known_at) }} then '{{ reason }}'
    {%- endif %}
{%- endmacro %}

{#
  CTE body: column reject_reason for rows of `relation`, which has failed_check (null: fine).
  Of several rows with one key that pass every other check, the first stays: the oldest, because
  a later row must not push out one that was known before; then by the columns, so that it is the
  same one in each run. `file_row desc` is the last row of the file: what was exported later. Without other columns than
  the key they are all the same.
#}
{% macro with_duplicates_rejected(relation, key, columns, event_at=none) -%}
    select
        *,
        case
            when failed_check is not null then failed_check
            when row_number() over (
                partition by {{ key | join(', ') }}, failed_check
                order by
                    {% if event_at %}{{ event_at }} nulls first, {% endif -%}
                    {%- for column in columns or key %}{{ column }} nulls first{{ ', ' if not loop.last }}{% endfor %}
            ) > 1 then 'duplicate_row'
        end as reject_reason
    from {{ relation }}
{%- endmacro %}

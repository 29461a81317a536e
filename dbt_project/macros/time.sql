{# A var as 'YYYY-MM-DD'. YAML turns an unquoted date into a date object, hence the cast. #}
{% macro iso_date(value) -%}
    {%- set text = value | string | trim -%}
    {%- if not modules.re.fullmatch('\\d{4}-\\d{2}-\\d{2}', text) -%}
        {{ exceptions.raise_compiler_error("'" ~ text ~ "' is not a date: write as_of and anchors as YYYY-MM-DD.") }}
    {%- endif -%}
    {{ return(text) }}
{%- endmacro %}

{# Midnight at which the week begins: what happens before it is known. #}
{% macro as_of() -%}
    cast('{{ iso_date(var("as_of")) }}' as timestamp)
{%- endmacro %}

{% macro as_of_date() -%}
    cast('{{ iso_date(var("as_of")) }}' as date)
{%- endmacro %}

{# Type of a moment that is the same everywhere; all other times are wall clock times of the shop. #}
{% macro instant_type() -%}
    {{ return(adapter.dispatch('instant_type', 'recs')()) }}
{%- endmacro %}

{% macro duckdb__instant_type() -%}
    timestamp with time zone
{%- endmacro %}

{# The wall: nothing that happened at or after as_of may pass. #}
{% macro is_known(event_at) -%}
    {{ event_at }} < {{ as_of() }}
{%- endmacro %}

{# Newest moment a row may carry: a day of grace for clocks and time zones. #}
{% macro newest_plausible() -%}
    {{ dbt.dateadd('day', 1, "cast('" ~ var("loaded_at") ~ "' as timestamp)") }}
{%- endmacro %}

{# Sorted, distinct anchor dates of this run; none may lie after as_of. #}
{% macro anchor_dates() -%}
    {%- set week = iso_date(var("as_of")) -%}
    {%- set dates = [] -%}
    {%- for anchor in var("anchors") -%}
        {%- do dates.append(iso_date(anchor)) -%}
    {%- endfor -%}
    {%- if not dates -%}
        {%- set day = modules.datetime.datetime.strptime(week, "%Y-%m-%d") -%}
        {%- set back = modules.datetime.timedelta(days=var("horizon_days") | int) -%}
        {%- do dates.extend([week, (day - back).strftime("%Y-%m-%d")]) -%}
    {%- endif -%}
    {%- for anchor in dates if anchor > week -%}
        {{ exceptions.raise_compiler_error("Anchor " ~ anchor ~ " lies after as_of " ~ week ~ ": remove it from anchors.") }}
    {%- endfor -%}
    {{ return(dates | unique | sort) }}
{%- endmacro %}

{# One row per anchor, column as_of. #}
{% macro anchors() -%}
    {%- for anchor in anchor_dates() %}
    select cast('{{ anchor }}' as date) as as_of
    {%- if not loop.last %} union all{% endif %}
    {%- endfor %}
{%- endmacro %}

{# The earliest anchor that the week's ranker learns from; a day after the week has only its own. #}
{% macro earliest_anchor() -%}
    cast('{{ iso_date(var("earliest_anchor") or anchor_dates()[0]) }}' as date)
{%- endmacro %}

{# Whole calendar days from one date or timestamp to another. #}
{% macro days_between(earlier, later) -%}
    {{ dbt.datediff("cast(" ~ earlier ~ " as date)", "cast(" ~ later ~ " as date)", "day") }}
{%- endmacro %}

{# Weight of something that happened that many days ago; half_life in days, by default the var's. #}
{% macro decay(age_days, half_life=none) -%}
    power(0.5e0, {{ age_days }} / {{ (half_life or var("half_life_days")) | float }}e0)
{%- endmacro %}

{# The first midnight outside the label window of an anchor. #}
{% macro window_end(anchor) -%}
    {{ dbt.dateadd('day', var("horizon_days") | int, anchor) }}
{%- endmacro %}

{# Weeks that [start_at, end_at) and [window_start, window_end) have in common; 0 where none. #}
{% macro overlap_weeks(start_at, end_at, window_start, window_end) -%}
    {%- set seconds = dbt.datediff(
        "greatest(" ~ start_at ~ ", cast(" ~ window_start ~ " as timestamp))",
        "least(" ~ end_at ~ ", cast(" ~ window_end ~ " as timestamp))",
        "second"
    ) -%}
    {{ round_to("greatest(" ~ seconds ~ ", 0) / 604800e0", 6) }}
{%- endmacro %}

{# That many days earlier. #}
{% macro days_before(day, days) -%}
    {{ dbt.dateadd('day', -days, day) }}
{%- endmacro %}

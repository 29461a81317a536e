{# Positions of each group are 1, 2, ..., n without a gap (together with the key test). #}
{% test contiguous_from_one(model, column_name, group_by) %}

select
    {{ group_by | join(', ') }},
    count(*) as row_count,
    min({{ column_name }}) as first_position,
    max({{ column_name }}) as last_position
from {{ model }}
group by {{ group_by | join(', ') }}
having min({{ column_name }}) <> 1 or max({{ column_name }}) <> count(*)

{% endtest %}

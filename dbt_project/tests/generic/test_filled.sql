{# None of the columns is ever null. One scan for all of them instead of one test per column. #}
{% test filled(model, columns) %}

select *
from {{ model }}
where
    {%- for column in columns %}
    {{ column }} is null
    {%- if not loop.last %} or{% endif %}
    {%- endfor %}

{% endtest %}

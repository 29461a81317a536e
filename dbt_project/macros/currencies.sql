{# The ISO 4217 code of a currency as orders name it: in any case, as a word or as a sign. A sign of several
   currencies is the shop's where that is one of them, else it stays a sign, which is no code. #}
{% macro currency_code(column) -%}
    {%- set words = {
        'EUR': ['€', 'euro', 'euros'],
        'GBP': ['£', 'pound', 'pounds', 'sterling'],
        'USD': ['us$', 'us dollar', 'us dollars'],
        'CHF': ['sfr', 'sfr.', 'fr.'],
        'PLN': ['zł'],
        'CZK': ['kč'],
        'INR': ['₹'],
    } -%}
    {%- set signs = {
        '$': ['USD', 'AUD', 'CAD', 'HKD', 'MXN', 'NZD', 'SGD'],
        'kr': ['DKK', 'ISK', 'NOK', 'SEK'],
        'kr.': ['DKK', 'ISK', 'NOK', 'SEK'],
        '¥': ['CNY', 'JPY'],
    } -%}
    {%- set spelled = lower_case(stated(clean_text(column))) -%}
    case {{ spelled }}
        {%- for code, spellings in words.items() %}
        {%- for spelling in spellings %}
        when '{{ spelling }}' then '{{ code }}'
        {%- endfor %}
        {%- endfor %}
        {%- for sign, codes in signs.items() if var('shop_currency') in codes %}
        when '{{ sign }}' then '{{ var("shop_currency") }}'
        {%- endfor %}
        {#- A code has no other letters, and the upper case of others differs between engines. #}
        else translate({{ spelled }}, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
    end
{%- endmacro %}

{# Three letters; a sign or a number is no code that a price may carry. #}
{% macro is_currency_code(expression) -%}
    {{ return(adapter.dispatch('matches', 'recs')(expression, '[A-Z]{3}')) }}
{%- endmacro %}

{# Units of the shop's currency for one unit of an order's. The money of an order that is in the shop's currency, or
   names none, is the shop's; where no code is known, it is as long as all orders that say something say the same.
   Null where no rate is known: such money would become a price, or enter a sum. #}
{% macro exchange_rate(currency, shop, rates) -%}
    case
        when {{ shop }}.currency is not null and coalesce({{ currency }}, {{ shop }}.currency) = {{ shop }}.currency then cast(1 as double)
        when {{ shop }}.currency is null and {{ shop }}.currencies_named <= 1 then cast(1 as double)
        else {{ rates }}.rate
    end
{%- endmacro %}

{# An amount in the shop's currency; one that is already stays as it is, to the last digit. #}
{% macro convert_amount(amount, rate) -%}
    case when {{ rate }} = 1 then {{ amount }} else {{ round_to(amount ~ " * " ~ rate, 6) }} end
{%- endmacro %}

{# An amount with as many decimals as the currency has (ISO 4217); of an unknown one with two. #}
{% macro round_money(amount, currency) -%}
    {%- set whole = [
        'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF',
    ] -%}
    {%- set thousandths = ['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'] -%}
    case
        when {{ currency }} in ({{ quoted_list(whole) }}) then {{ round_to(amount, 0) }}
        when {{ currency }} in ({{ quoted_list(thousandths) }}) then {{ round_to(amount, 3) }}
        else {{ round_to(amount, 2) }}
    end
{%- endmacro %}

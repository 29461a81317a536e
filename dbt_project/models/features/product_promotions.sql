{%- set kinds = ['mailer', 'display', 'coupon', 'price'] -%}
with anchors as (
    {{ anchors() }}

),

promotions as (

    -- A kind the shop invented is an offer all the same; an offer of unknown reach is everywhere.
    select
        product_id,
        case when kind in ({% for kind in kinds %}'{{ kind }}'{{ ', ' if not loop.last }}{% endfor %}) then kind else 'other' end as kind,
        announced_at,
        start_at,
        end_at,
        coalesce(reach, 1) as reach
    from {{ ref('stg_promotions') }}
    where end_at > start_at

),

known as (

    -- Planned weeks inside the label window, and weeks of the 28 days before the anchor.
    select
        anchors.as_of,
        promotions.product_id,
        promotions.kind,
        promotions.reach,
        greatest({{ days_between('anchors.as_of', 'promotions.start_at') }}, 0) as days_to_offer,
        {{ overlap_weeks('promotions.start_at', 'promotions.end_at', 'anchors.as_of', window_end('anchors.as_of')) }}
            as weeks,
        {{ overlap_weeks('promotions.start_at', 'promotions.end_at', dbt.dateadd('day', -28, 'anchors.as_of'), 'anchors.as_of') }}
            as weeks_before
    from promotions
    inner join anchors
        on
            promotions.announced_at < anchors.as_of
            and promotions.start_at < {{ window_end('anchors.as_of') }}
            and promotions.end_at > {{ dbt.dateadd('day', -28, 'anchors.as_of') }}

),

summed as (

    select
        as_of,
        product_id,
        {%- for kind in kinds + ['other'] %}
        {{ exact_sum("case when kind = '" ~ kind ~ "' then weeks else 0 end", 6) }} as {{ kind }}_weeks,
        {{ exact_sum("case when kind = '" ~ kind ~ "' then weeks * reach else 0 end", 6) }} as {{ kind }}_reach,
        {{ exact_sum("case when kind = '" ~ kind ~ "' then weeks_before * reach else 0 end", 6) }}
            as {{ kind }}_reach_before,
        {%- endfor %}
        {{ exact_sum('weeks', 6) }} as any_weeks,
        {{ exact_sum('weeks * reach', 6) }} as any_reach,
        {{ exact_sum('weeks_before * reach', 6) }} as any_reach_before,
        min(case when weeks > 0 then days_to_offer end) as days_to_first_offer
    from known
    group by as_of, product_id

),

final as (

    select
        as_of,
        product_id,
        {%- for kind in kinds + ['other', 'any'] %}
        {{ kind }}_weeks,
        {{ kind }}_reach,
        {{ round_to(kind ~ "_reach_before / 4", 6) }} as {{ kind }}_reach_before,
        {{ round_to(kind ~ "_reach * 7 / " ~ var('horizon_days') | int ~ " - " ~ kind ~ "_reach_before / 4", 6) }}
            as {{ kind }}_reach_change,
        {%- endfor %}
        days_to_first_offer
    from summed

)

select * from final
order by as_of, product_id

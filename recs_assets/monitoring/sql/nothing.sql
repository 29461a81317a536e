-- Per list: customers, and how many of them get nothing.
with campaigns as (

    select distinct campaign from model.email_selection

),

known as (

    select count(*) as customers from marts.customers where joined_at is null or joined_at < $week

),

final as (

    select
        'customer_recommendations' as list,
        any_value(known.customers) as customers,
        any_value(known.customers) - (select count(*) from model.recommendations where rank = 1) as without
    from known
    union all
    select campaign as list, sum(customers) as customers, sum(customers) filter (outcome not in ('selected', 'holdout')) as without
    from model.campaign_outcomes
    inner join campaigns using (campaign)
    group by campaign

)

select list, customers::bigint as customers, coalesce(without, 0) / greatest(customers, 1) as share from final order by list

-- Counts, sales and the comparison with the holdout, beside each other. Where nothing can be divided, there is no figure.
with denominators as (

    -- Emails and sessions are the customers': the values of a slot or a product share those of the whole campaign.
    select
        counts.*,
        counts.channel = 'email' and reported.campaign is not null as is_reported,
        if(counts.dimension in ('arm', 'segment'), counts.sends, whole.sends) as emails,
        sessions.sessions
    from counts
    inner join counts as whole
        on
            counts.week = whole.week
            and counts.channel = whole.channel
            and counts.campaign = whole.campaign
            and whole.dimension = 'all'
    left join reported on counts.campaign = reported.campaign
    left join sessions
        on
            counts.week = sessions.week
            and counts.channel = sessions.channel
            and counts.campaign = sessions.campaign
            and if(counts.dimension in ('arm', 'segment'), counts.dimension, 'all') = sessions.dimension
            and if(counts.dimension in ('arm', 'segment'), counts.value, 'all') = sessions.value

),

joined as (

    select
        denominators.* exclude (sent, opened, emails, sessions),
        if(is_reported, sent, null) as sent,
        if(is_reported, emails, null) as emails,
        if(channel = 'email', opened, null) as opened,
        nullif(sessions, 0) as sessions,
        nullif(case when channel = 'page' then shown when is_reported then sent end, 0) as reached,
        coalesce(sales.purchases, 0) as purchases,
        if(sales.purchases is null, 0, sales.revenue) as revenue,
        if(sales.purchases is null, 0, sales.margin) as margin
    from denominators
    left join sales using (week, channel, campaign, dimension, value)

)

select
    joined.week as as_of,
    joined.channel,
    joined.campaign,
    joined.dimension,
    joined.value,
    joined.recommendations,
    joined.sent,
    joined.shown,
    joined.opened,
    joined.clicks,
    round(joined.clicks / joined.reached, 6) as ctr,
    joined.useful_clicks,
    joined.add_to_carts,
    joined.purchases,
    round(joined.purchases / joined.reached, 6) as conversion,
    joined.revenue,
    joined.margin,
    joined.emails,
    joined.sessions,
    round(joined.revenue / joined.reached, 6) as revenue_per_recommendation,
    round(joined.margin / joined.reached, 6) as margin_per_recommendation,
    round(joined.revenue / joined.sessions, 6) as revenue_per_session,
    round(joined.margin / joined.sessions, 6) as margin_per_session,
    round(1000 * joined.revenue / nullif(joined.emails, 0), 6) as revenue_per_thousand_sends,
    round(1000 * joined.margin / nullif(joined.emails, 0), 6) as margin_per_thousand_sends,
    gained.held_out,
    -- A week in which nothing was sent changed nothing.
    if(joined.sent = 0, null, gained.gain) as incremental_revenue,
    if(joined.sent = 0, null, gained.gain_low) as incremental_revenue_low,
    if(joined.sent = 0, null, gained.gain_high) as incremental_revenue_high
from joined
left join gained
    on
        joined.week = gained.week
        and joined.campaign = gained.campaign
        and joined.channel = 'email'
        and joined.dimension = 'all'
order by all;

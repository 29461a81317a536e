-- The drawn slots of lists that were sent: was the product on the shadow's list, too, and was it bought in the days that the
-- list was about?
select emails.campaign, shadows.shadow, emails.customer_id, emails.propensity,
    exists (
        from published.recs.shadow_recommendations as listed
        where listed.campaign = shadows.campaign and listed.shadow = shadows.shadow and listed.as_of = shadows.as_of
          and listed.customer_id = emails.customer_id and listed.product_id = emails.product_id
    ) as in_shadow,
    exists (
        from marts.order_lines as lines
        where lines.customer_id = emails.customer_id and lines.product_id = emails.product_id and lines.net_quantity > 0
          and lines.ordered_at >= emails.as_of and lines.ordered_at < emails.as_of + emails.window_days
    ) as bought
from published.recs.email_recommendations as emails
join (select distinct campaign, shadow, as_of from published.recs.shadow_recommendations) as shadows
    on emails.campaign = shadows.campaign and emails.as_of = shadows.as_of
semi join marts.customers as customers on emails.customer_id = customers.customer_id
where emails.propensity < 1 and emails.as_of + emails.window_days <= $week
order by all

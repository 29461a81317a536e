with emails as (
    -- Whoever was two customers then was promised a product once.
    select campaign, as_of, window_days, customer_id, product_id, max(p_purchase) as p_purchase, max(price) as price
    from sent_before where not held and p_purchase is not null group by all
),

judged as (
    select emails.campaign, emails.as_of, window_days, emails.customer_id, p_purchase,
        coalesce(price, 0) as price,
        exists (
            from marts.order_lines as lines
            where lines.customer_id = emails.customer_id
              and lines.product_id = emails.product_id
              and lines.ordered_at >= emails.as_of
              and lines.ordered_at < emails.as_of + window_days
              and (
                  lines.fully_returned_at is null
                  or lines.fully_returned_at >= emails.as_of + window_days
              )
        ) as bought
    from emails
    where emails.as_of + window_days <= $week
      and emails.customer_id in (select customer_id from marts.customers)
)
select campaign, as_of as forecast_as_of, (as_of + window_days)::date as window_end,
    count(distinct customer_id) as customers, count(*) as rows,
    sum(p_purchase)::decimal(38, 9)::double as forecast_purchases,
    count(*) filter (where bought) as actual_purchases,
    sum(p_purchase * price)::decimal(38, 9)::double as forecast_revenue,
    coalesce(sum(price) filter (where bought), 0)::decimal(38, 9)::double as actual_revenue
from judged group by campaign, as_of, window_days order by as_of, campaign

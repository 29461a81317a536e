-- Did the lists sell what their probabilities promised? (A ratio near 1: they did.)
-- The campaign test_anchor is the ranker's own lists at the test anchor, before any business rule.
select
    campaign,
    forecast_as_of,
    window_end,
    customers,
    rows,
    round(forecast_purchases, 1) as forecast_purchases,
    actual_purchases,
    round(actual_purchases / nullif(forecast_purchases, 0), 3) as purchases_actual_to_forecast,
    round(forecast_revenue, 2) as forecast_revenue,
    round(actual_revenue, 2) as actual_revenue,
    round(actual_revenue / nullif(forecast_revenue, 0), 3) as revenue_actual_to_forecast
from recs.forecasts
where as_of = (select max(as_of) from recs.forecasts)
order by forecast_as_of desc, campaign;

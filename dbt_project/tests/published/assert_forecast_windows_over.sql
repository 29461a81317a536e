{{ config(meta={'dagster': {'ref': {'name': 'forecasts'}}}) }}
-- A forecast is judged only when its window is over: in an open one purchases are still missing.
select
    campaign,
    forecast_as_of,
    window_end
from {{ ref('forecasts') }}
where window_end > as_of or forecast_as_of >= window_end

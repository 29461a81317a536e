select
    feature as product_id,
    name,
    area as category,
    monthly_price as price,
    since as start_at,
    'https://software.example/features/' || feature as url
from files.features

select
    policy as product_id,
    name,
    line as category,
    yearly_premium as price,
    'https://insurer.example/' || policy as url
from files.policies

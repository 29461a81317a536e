select *
from {{ source('model', 'assignments') }}
order by experiment, customer_id

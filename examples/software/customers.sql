select
    account as customer_id,
    opened_on as joined_at,
    product_news as email_eligible,
    plan as segment
from files.accounts

select
    client_no as customer_id,
    client_since as joined_at,
    marketing_consent as email_eligible,
    household as segment
from files.clients

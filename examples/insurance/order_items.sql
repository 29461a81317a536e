select
    application_no as order_id,
    contract_no as line_id,
    policy as product_id,
    1.0 as quantity,
    yearly_premium as amount
from files.contracts
where prolongs is null

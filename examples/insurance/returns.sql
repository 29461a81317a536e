-- Withdrawn within two weeks: as if it had been sent back.
select
    'W' || contract_no as return_id,
    application_no as order_id,
    policy as product_id,
    1.0 as quantity,
    withdrawn_on as returned_at
from files.contracts
where prolongs is null and withdrawn_on is not null

select
    evidence.source_table,
    coalesce(customers.code, -1)::integer as customer,
    products.code::integer as product,
    coalesce(evidence.last_at::date - date '1970-01-01', -1)::integer as day
from intermediate.int_declared_evidence as evidence
inner join products on evidence.product_id = products.product_id
left join customers on evidence.customer_id = customers.customer_id
where (evidence.customer_id is null or customers.code is not null) and (evidence.last_at is null or evidence.last_at < $anchor)
order by 1, 2, 3

-- Of whom the shop says that they are erased, and the published tables know nothing.
select id, null as country, null as segment, null as list, null as again, null as tastes, 1 as withdrawn, id as person
from erased where id not in (select unnest(customer_ids) from recs.customers)
order by id

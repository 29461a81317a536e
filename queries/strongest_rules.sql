-- Which association rules are strong and rest on enough baskets to be believed?
select
    antecedent_names,
    consequent_name,
    baskets,
    round(confidence, 3) as confidence,
    round(lift, 2) as lift,
    round(leverage, 5) as leverage
from recs.association_rules
where as_of = (select max(as_of) from recs.association_rules) and lift > 1
order by baskets * (lift - 1) desc, antecedent_product_ids, consequent_product_id
limit 30;

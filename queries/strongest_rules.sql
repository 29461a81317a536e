-- Which association rules are strong, rest on enough people, and are not chance?
select
    antecedent_names,
    consequent_name,
    baskets,
    customers,
    round(confidence, 3) as confidence,
    round(lift_shrunk, 2) as lift_shrunk,
    p_adjusted
from recs.association_rules
where as_of = (select max(as_of) from recs.association_rules) and customers >= 10 and p_adjusted <= 0.01
order by lift_shrunk desc, antecedent_product_ids, consequent_product_id
limit 30;

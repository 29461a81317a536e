with rules as (

    select
        *,
        row_number() over (order by antecedent_product_ids, consequent_product_id) as rule_number
    from {{ source('model', 'association_rules') }}
    where as_of = {{ as_of_date() }}

),

products as (

    select * from {{ ref('recs_products') }}

),

antecedents as (

    {{ list_elements('rules', 'antecedent_product_ids', 'product_id', 'position') }}

),

names as (

    select
        antecedents.rule_number,
        string_agg(coalesce(products.product_name, antecedents.product_id), ' + ' order by antecedents.position) as antecedent_names
    from antecedents
    left join products on antecedents.product_id = products.product_id
    group by antecedents.rule_number

),

final as (

    select
        rules.as_of,
        rules.antecedent_product_ids,
        names.antecedent_names,
        rules.consequent_product_id,
        products.product_name as consequent_name,
        rules.baskets,
        rules.antecedent_baskets,
        rules.consequent_baskets,
        rules.total_baskets,
        rules.customers,
        rules.support,
        rules.confidence,
        rules.lift,
        rules.lift_shrunk,
        rules.leverage,
        rules.conviction,
        rules.p_value,
        rules.p_adjusted
    from rules
    left join names on rules.rule_number = names.rule_number
    left join products on rules.consequent_product_id = products.product_id

)

select * from final
order by as_of, antecedent_product_ids, consequent_product_id

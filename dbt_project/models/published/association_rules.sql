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
        {{ joined_text('coalesce(products.product_name, antecedents.product_id)', ' + ', 'antecedents.position') }} as antecedent_names
    from antecedents
    left join products on antecedents.product_id = products.product_id
    group by antecedents.rule_number

),

final as (

    select
        {{ written_columns('association_rules', 'rules') }},
        names.antecedent_names,
        products.product_name as consequent_name
    from rules
    left join names on rules.rule_number = names.rule_number
    left join products on rules.consequent_product_id = products.product_id

)

select
    {{ declared_columns('association_rules') }}
from final
order by as_of, antecedent_product_ids, consequent_product_id

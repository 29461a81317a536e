with final as (

    select * from {{ source('model', 'questionnaire') }}

)

select * from final
order by question, option

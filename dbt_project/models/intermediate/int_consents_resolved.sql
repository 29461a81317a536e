-- Of staging's view, which the last look before an export runs again, the week's rows.
select * from {{ ref('stg_customer_consents') }}
order by customer_id

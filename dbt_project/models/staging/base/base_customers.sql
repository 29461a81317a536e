with source as (

    select
        -- A row for all guests is nobody.
        {{ customer_or_guest('customer_id') }} as customer_id,
        joined_at,
        {{ clean_text('email') }} as email,
        coalesce(email_eligible, false) as email_eligible,
        {{ stated(clean_text('country')) }} as country,
        {{ stated(clean_text('locale')) }} as locale,
        {{ stated(clean_text('currency')) }} as currency,
        {{ stated(clean_text('timezone')) }} as timezone,
        {{ stated(clean_text('segment')) }} as segment
    from {{ source('raw', 'customers') }}

),

judged as (

    select
        customer_id,
        joined_at,
        email,
        country,
        locale,
        currency,
        timezone,
        segment,
        -- Of a customer who stands twice, the row that says no holds for email.
        email_eligible
        and min(case when not email_eligible and coalesce({{ is_known('joined_at') }}, true) then 0 else 1 end)
            over (partition by customer_id) = 1 as email_eligible,
        case
            {{ when_id_is_bad(['customer_id']) }}
            {{ when_date_is_bad('joined_at', optional=true, newest=newest_consent()) }}
        end as failed_check
    from source

),

final as (

    {{ with_duplicates_rejected(
        'judged',
        key=['customer_id'],
        columns=['email_eligible', 'email', 'country', 'locale', 'currency', 'timezone', 'segment'],
        event_at='joined_at',
    ) }}

)

select * from final

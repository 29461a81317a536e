{{ config(meta={'dagster': {'ref': {'name': 'stg_withdrawals_counted'}}}) }}
-- Nobody who said no is overlooked: more withdrawals that match no customer than the shop allows
-- (unmatched_withdrawals of source.toml) stop the run with one sentence.
select sentence
from {{ ref('stg_withdrawals_counted') }}
where unmatched > allowed and {{ fail_with('sentence') }} is not null

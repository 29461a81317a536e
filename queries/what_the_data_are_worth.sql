-- What the newest audit of the data says: the verdict on the shop first, then what a person should look at.
select
    section,
    subject,
    measure,
    value,
    unit,
    verdict,
    sentence
from recs.data_audit
where verdict <> 'good' or section = 'readiness'
qualify as_of = max(as_of) over ()
order by place

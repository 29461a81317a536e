-- What is not as it was: the verdict on the newest week, then every figure that is watched or an alert.
select
    area,
    verdict,
    advice,
    metric,
    subject,
    value,
    reference,
    sentence
from recs.monitor
where
    as_of = (select max(as_of) from recs.monitor)
    and (area = 'all' or verdict in ('alert', 'watch'))
order by case area when 'all' then 0 else 1 end, verdict, area, metric, subject;

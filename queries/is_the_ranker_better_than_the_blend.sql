-- Is the ranker better than the blend, and by how much? Of every experiment that runs or has just ended: each arm beside its
-- control, by the metric that decides, with the interval that holds however often somebody looks, and the verdict in words.
select
    standings.experiment,
    standings.arm,
    results.control,
    standings.week,
    standings.analysed as customers,
    results.metric,
    round(results.mean, 4) as mean,
    round(results.mean_control, 4) as mean_of_control,
    round(100 * results.lift, 1) as lift_percent,
    round(100 * results.lift_low, 1) as at_least_percent,
    round(100 * results.lift_high, 1) as at_most_percent,
    standings.sentence as verdict
from recs.experiments as standings
left join recs.experiment_results as results
    on standings.as_of = results.as_of and standings.experiment = results.experiment and standings.arm = results.arm
    and standings.week = results.week and results.role = 'primary' and results.control <> 'holdout'
where standings.as_of = (select max(as_of) from recs.experiments) and standings.role = 'challenger'
order by standings.experiment, standings.arm;

"""Stage 4: from forecasts to scores, from scores to alarms, from alarms to incidents.

==================  ============================================================
`forecasts`         a forecast table as arrays, one row a window
`expected`          what the days before expected of a window
`scores`            how strange each window and column is
`thresholds`        which score is an alarm, at a rate that the operator chooses
`incidents`         neighbouring alarms as one, in words
`suppression`       rules that keep known incidents quiet, and countable
`memory`            the history without what was strange in it
`detect`            all of it as one call
`notices`           where detections leave: CSV, JSON lines, a Zeek notice log
`figure`            and a picture
`labels`            incidents that are known to have happened
`inject`            incidents placed into any table
`rungs`             plain scores, to be beaten
`vus`               how well scores rank windows
`judging`           how good alarms are, against labels and beside the rungs
==================  ============================================================
"""

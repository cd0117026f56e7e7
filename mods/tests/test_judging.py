"""Judging: incidents placed with labels, plain rungs, VUS-PR, and figures by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from mods.anomaly.detect import detect_all
from mods.anomaly.inject import KINDS, Injection, inject, injected_labels, plan_injections
from mods.anomaly.judging import judge, rank
from mods.anomaly.labels import Label, Span, read_labels, spans
from mods.anomaly.rungs import RUNGS, climb
from mods.anomaly.vus import pr_auc, vus_pr
from mods.cli import main
from mods.errors import DataError, NotFoundError
from mods.tests.alarm_maker import WINDOW, quiet_frame, seasonal_forecasts, seasonal_table

#: What vus 0.0.6 (the paper's own package) gives for `_case(seed)`: seed, buffer, VUS-PR.
PUBLISHED = [
    (0, 0, 0.06415775145594624),
    (0, 7, 0.09784685748717825),
    (1, 24, 0.310220188626419),
    (2, 24, 0.29689422856726216),
    (4, 0, 0.19758789300094748),
    (4, 24, 0.3141519836562823),
    (5, 7, 0.16924960727673438),
    (5, 24, 0.23761841017802013),
]


def _case(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros(600, int)
    for start in rng.integers(0, 580, 5):
        labels[start : start + rng.integers(1, 20)] = 1
    if seed == 4:  # incidents at both ends
        labels[:5] = labels[-4:] = 1
    scores = rng.exponential(size=600) + 2 * np.roll(labels, 3) * rng.random(600)
    return labels, np.round(scores, 1) if seed == 5 else scores


@pytest.mark.parametrize(("seed", "buffer", "expected"), PUBLISHED)
def test_vus_is_what_the_published_implementation_gives(seed, buffer, expected):
    assert vus_pr(*_case(seed), buffer=buffer) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_pr_auc_is_what_scikit_learn_gives(seed, digits):
    rng = np.random.default_rng(seed)
    labels = rng.random(80) < 0.2
    labels[:2] = [True, False]
    scores = np.round(rng.random(80), digits)
    assert pr_auc(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_vus_forgives_a_late_score_and_no_random_one():
    labels = (np.arange(2000) // 20 % 20) == 7
    late = np.roll(labels, 4).astype(float) + np.random.default_rng(0).random(2000) / 100
    assert vus_pr(labels, labels.astype(float)) > 0.9
    assert vus_pr(labels, late) > pr_auc(labels, late)
    assert vus_pr(labels, np.random.default_rng(1).random(2000)) < 0.2


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 0], [1, 2], "0 of 2 windows are labelled; expected some, and not all"),
        ([1, 1], [1, 2], "2 of 2 windows are labelled"),
        ([0, 1], [1, np.nan], "window 1 has no score; expected one for each"),
        ([0, 1], [1], "one label and one score a window"),
    ],
)
def test_what_cannot_be_ranked_is_refused(labels, scores, message):
    with pytest.raises(DataError) as caught:
        vus_pr(labels, scores)
    assert message in str(caught.value)


def test_figures_by_hand_and_no_point_adjustment():
    scores = np.array([0, 5, 0, 0, 2, 0, 0, 0, 1, 0], dtype=float)
    known = [Span(3, 6, "scan", 8.0), Span(8, 9, "flood", 2.0)]
    # One false alarm is allowed, the 5; above what comes next lie both incidents.
    both = rank(scores, known, 1, buffer=0)
    assert (both.found, both.delay) == (1.0, 0.5)
    # Ranked 5 (wrong), 2, 1, then seven zeros with four labelled: windows count, not incidents.
    assert both.pr_auc == pytest.approx((1 / 2 + 2 / 3 + 4 * 6 / 10) / 6)
    assert rank(scores, known, 0, buffer=0).found == 0


def test_injections_are_the_same_again_and_come_with_labels_that_fit(tmp_path):
    frame = quiet_frame(30)
    planned = plan_injections(frame, 7, count=12, first=14 * 144)
    assert planned == plan_injections(frame, 7, count=12, first=14 * 144)
    assert planned != plan_injections(frame, 8, count=12, first=14 * 144)
    changed = inject(frame, planned)
    injected_labels(frame, planned).to_csv(tmp_path / "incidents.tsv", sep="\t", index=False)
    found = spans(read_labels(tmp_path / "incidents.tsv"), frame.index, WINDOW)
    inside = np.zeros(len(frame), dtype=bool)
    for span in found:
        inside[span.first : span.last + 1] = True
    touched = (changed.to_numpy() != frame.to_numpy()).any(axis=1)
    assert len(found) == len(planned) == 12
    assert not (touched & ~inside).any()
    for span in found:
        assert touched[span.first : span.last + 1].mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_does_what_its_name_says(kind):
    frame = quiet_frame(6)
    column = None if kind == "silence" else "conn_in"
    strength = 0.0 if kind == "silence" else 4.0
    one = Injection(400, 20, kind, column, strength)
    before, after = (f["conn_in"].to_numpy()[395:430] for f in (frame, inject(frame, [one])))
    unit = np.quantile(np.abs(np.diff(frame["conn_in"])), 0.99)
    if kind == "silence":
        assert np.isnan(after[5:30]).all()
        return
    sign = -1 if kind in ("fade", "outage") else 1
    change = sign * (after - before)
    assert (change[:5] == 0).all()
    assert (change[30:] == 0).all()
    assert (change[5:30] >= 0).all()
    whole = 4 * unit if kind not in ("ramp", "fade") else 4 * unit * 17.5 / 20
    assert change.max() == pytest.approx(whole, abs=1)


def test_nothing_can_be_taken_below_nothing():
    frame = quiet_frame(6)
    changed = inject(frame, [Injection(400, 20, "outage", "ssh_in", 1000.0)])
    assert changed["ssh_in"].min() >= 0
    assert changed["ssh_in"].iloc[410] < 0.02 * frame["ssh_in"].iloc[410]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (Injection(5, 3, "storm", "conn_in", 2.0), "kind of incident 'storm' is not known"),
        (Injection(5, 3, "burst", "con_in", 2.0), "no column 'con_in'. Did you mean 'conn_in'?"),
        (Injection(900, 3, "burst", "conn_in", 2.0), "an incident of 3 slots in row 900 of 864"),
        (Injection(5, 3, "burst", None, 2.0), "burst of column None"),
        (Injection(5, 3, "burst", "conn_in", 0.0), "strength 0.0; expected more than 0"),
    ],
)
def test_an_injection_that_makes_no_sense_is_refused(one, message):
    with pytest.raises(DataError) as caught:
        inject(quiet_frame(6), [one])
    assert message in str(caught.value)


def test_more_incidents_than_fit_are_refused():
    with pytest.raises(DataError, match=r"99 incidents in 864 rows; expected 1 to \d+"):
        plan_injections(quiet_frame(6), 0, count=99)


def test_every_rung_sees_a_gross_burst_and_learns_nothing_from_later():
    frame = quiet_frame(20)
    forecasts = seasonal_forecasts(frame)
    changed = seasonal_forecasts(inject(frame, [Injection(2000, 12, "burst", "conn_in", 12.0)]))
    first = 10 * 144
    calm, scores = climb(forecasts, first), climb(changed, first)
    assert tuple(scores) == RUNGS
    rows = slice(2000 - 37, 2017 - 37)
    for name, values in scores.items():
        assert len(values) == len(forecasts)
        assert np.isfinite(values).all()
        assert values[rows].max() > np.quantile(calm[name][first:], 0.99), name
        np.testing.assert_array_equal(values[: rows.start], calm[name][: rows.start])


def test_the_rungs_need_a_day_to_learn_from():
    with pytest.raises(DataError, match="100 windows before those that are judged"):
        climb(seasonal_forecasts(quiet_frame(4)), 100)


def test_a_detection_is_judged_by_what_it_told(tmp_path):
    frame = quiet_frame(28)
    rows = (15 * 144, 18 * 144, 22 * 144)
    planned = [Injection(row, 12, "burst", "conn_in", 10.0) for row in rows]
    planned.append(Injection(25 * 144, 9, "silence", None))
    detection = detect_all(seasonal_table(inject(frame, planned)), window=WINDOW)
    injected_labels(frame, planned).to_csv(tmp_path / "i.tsv", sep="\t", index=False)
    labels = read_labels(tmp_path / "i.tsv")
    judged = judge(detection, labels, window=WINDOW, first=10 * 144)
    assert judged.kinds["burst"].recall == 1
    assert judged.kinds["burst"].delay <= 3
    assert judged.kinds["silence"].recall == 1
    assert judged.kinds["all"].incidents == 4
    assert 0.2 < judged.false_alarms < 2
    assert judged.false_incidents <= judged.false_alarms
    assert judged.ratio("vus_pr") > 1
    told = [one for one in detection.incidents if one.start >= detection.forecasts.windows[1440]]
    wrong = round(judged.false_incidents * (judged.days - 4 * 22 / 144), 6)
    assert judged.precision == pytest.approx(1 - wrong / len(told), abs=0.02)
    assert json.loads(json.dumps(judged.document()))["incidents"]["kinds"]["burst"]["recall"] == 1
    with pytest.raises(DataError, match="none of the 1 incidents lies in the range"):
        judge(detection, [Label(frame.index[3], frame.index[5], "x")], window=WINDOW, first=1440)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start\tend\n1\t2\n", "has no column 'kind'; expected a tab-separated table"),
        ("start\tend\tkind\n5\t5\tscan\n", "an incident from 5 to 5"),
        ("start\tend\tkind\nsoon\t5\tscan\n", "'soon' in"),
        ("start\tend\tkind\n\t5\tscan\n", "without a start or an end"),
        ("start\tend\tkind\n2024-01-01\t5\tscan\n", "expected a start before its end"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path, text, message):
    path = tmp_path / "incidents.tsv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels(path)
    assert message in str(caught.value)


def test_labels_by_times_do_not_fit_rows(tmp_path):
    with pytest.raises(NotFoundError, match=r"no file '.*none\.tsv' with incidents"):
        read_labels(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="incidents by row numbers, and data by times"):
        spans([Label(1, 5, "scan")], quiet_frame(1).index, WINDOW)


@pytest.mark.network
def test_evaluate_judges_alarms_beside_the_rungs(tmp_path, capsys):
    frame = quiet_frame(21)
    planned = plan_injections(frame, 3, count=6, first=10 * 144, strengths=(8.0,))
    inject(frame, planned).to_csv(tmp_path / "data.tsv", sep="\t", date_format="%Y-%m-%dT%H:%M:%SZ")
    injected_labels(frame, planned).to_csv(tmp_path / "incidents.tsv", sep="\t", index=False)
    arguments = ["evaluate", "--data", str(tmp_path / "data.tsv"), "--model", "default"]
    arguments += ["--incidents", str(tmp_path / "incidents.tsv")]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["scores"]) == {"mods", *RUNGS}
    assert document["scores"]["mods"]["vus_pr"] > 0.3
    assert document["incidents"]["kinds"]["all"]["incidents"] == 6
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "isolation forest" in text
    assert "false alarms" in text
    assert main([*arguments, "--folds", "3"]) == 2
    assert "--folds together with --incidents; expected one of them" in capsys.readouterr().err

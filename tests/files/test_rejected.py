import json

import pytest

from scripts.files.errors import TooManyRejected
from scripts.files.rejected import RejectionLog


def test_lines_are_on_disk_at_once_and_a_case_counts_once(tmp_path):
    log = RejectionLog(tmp_path / "runs" / "rejected.jsonl", total=100, max_share=0.02)
    assert log.count == 0 and not log.path.exists()
    log.add("s1", "größer\nthan it should be")
    assert json.loads(log.path.read_text(encoding="utf-8")) == {"case_id": "s1", "reason": "größer\nthan it should be"}
    log.add("s1", "again, an epoch later")
    log.add("s2", "b")
    assert log.count == 2 and len(log.path.read_text().splitlines()) == 2


def test_one_too_many_ends_the_run_with_all_that_is_needed(tmp_path):
    log = RejectionLog(tmp_path / "rejected.jsonl", total=1000, max_share=0.006)
    for number in range(6):
        log.add(f"s{number}", f"reason {number}")
    with pytest.raises(TooManyRejected) as caught:
        log.add("s6", "reason 6")
    words = ("7 of 1,000 cases (0.70%)", "0.60% allowed", str(log.path), "s4: reason 4", "2 more")
    assert all(word in str(caught.value) for word in words) and "reason 5" not in str(caught.value)
    assert len(log.path.read_text().splitlines()) == 7  # the last one too


def test_a_share_of_nothing_allows_none_and_of_everything_all(tmp_path):
    with pytest.raises(TooManyRejected):
        RejectionLog(tmp_path / "a.jsonl", total=10, max_share=0).add("s", "r")
    log = RejectionLog(tmp_path / "b.jsonl", total=2, max_share=1)
    log.add("s1", "r")
    log.add("s2", "r")


def test_a_resumed_run_goes_on_and_counts_no_case_twice(tmp_path):
    path = tmp_path / "rejected.jsonl"
    first = RejectionLog(path, total=4, max_share=0.5)
    first.add("s1", "r1")
    first.add("s2", "r2")
    second = RejectionLog(path, total=4, max_share=0.5, resume=True)
    assert second.count == 2
    second.add("s1", "r1")
    with pytest.raises(TooManyRejected, match="3 of 4"):
        second.add("s3", "r3")
    third = RejectionLog(path, total=4, max_share=0.5, resume=True)  # known cases do not end a run that was resumed on purpose
    third.add("s3", "r3")
    assert third.count == 3


def test_another_run_in_the_same_folder_starts_anew(tmp_path):
    path = tmp_path / "rejected.jsonl"
    RejectionLog(path, total=4, max_share=0.5).add("s1", "r1")
    assert RejectionLog(path, total=4, max_share=0.5).count == 0 and not path.exists()


def test_a_line_cut_short_by_a_kill_does_no_harm(tmp_path):
    path = tmp_path / "rejected.jsonl"
    RejectionLog(path, total=9, max_share=1).add("s1", "r1")
    with open(path, "a") as file:
        file.write('{"case_id": "s2", "rea')
    log = RejectionLog(path, total=9, max_share=1, resume=True)
    assert log.count == 1
    log.add("s3", "r3")
    assert RejectionLog(path, total=9, max_share=1, resume=True).count == 2
    assert json.loads(path.read_text().splitlines()[-1])["case_id"] == "s3"


@pytest.mark.parametrize(("total", "share"), [(0, 0.1), (10, -0.1), (10, 1.5), (10, float("nan"))])
def test_nonsense_is_refused(tmp_path, total, share):
    with pytest.raises(ValueError):
        RejectionLog(tmp_path / "a.jsonl", total, share)

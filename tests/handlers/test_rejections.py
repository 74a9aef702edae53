import json

import pytest
from ignite.engine import Engine

from scripts.files.errors import TooManyRejected
from scripts.files.rejected import RejectionLog
from scripts.handlers import RejectionHandler


def run(log, *rejected):
    """An engine that sees one batch for each list of rejected cases; the batches it came to work on."""
    worked = []
    engine = Engine(lambda engine, batch: worked.append(batch))
    RejectionHandler(log).attach(engine)
    engine.run([{"rejected": cases} for cases in rejected])
    return worked


def test_cases_are_written_down(tmp_path, caplog):
    log = RejectionLog(tmp_path / "rejected.jsonl", total=10, max_share=0.5)
    worked = run(log, [("s1", "cut short"), ("s2", "empty")], [], [("s1", "cut short")])
    assert len(worked) == 3
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert lines == [{"case_id": "s1", "reason": "cut short"}, {"case_id": "s2", "reason": "empty"}]
    assert [record.message for record in caplog.records] == [f"2 cases were set aside; see {log.path}"]


def test_without_rejections_there_is_nothing_to_see(tmp_path, caplog):
    log = RejectionLog(tmp_path / "rejected.jsonl", total=10, max_share=0)
    run(log, [], [])
    assert not log.path.exists() and not caplog.records


def test_too_many_end_the_run_before_their_batch_is_used(tmp_path):
    log = RejectionLog(tmp_path / "rejected.jsonl", total=10, max_share=0.1)
    worked = []
    engine = Engine(lambda engine, batch: worked.append(batch))
    RejectionHandler(log).attach(engine)
    with pytest.raises(TooManyRejected, match="2 of 10 cases"):
        engine.run([{"rejected": [("s1", "a")]}, {"rejected": [("s2", "b")]}, {"rejected": []}])
    assert len(worked) == 1

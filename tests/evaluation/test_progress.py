import pytest

from nvlm.evaluation.progress import Progress


def test_the_line_tells_how_far_how_fast_and_how_long(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    progress = Progress("chartqa", 2500)
    progress.begin(500)  # the first 500 were answered in an earlier run
    progress.begin(520)
    assert progress.line(540, 120.0) == "chartqa 540/2500  2.00 questions/s  0:16:20 left"


@pytest.mark.parametrize(("terminal", "lines"), [(True, 2), (False, 1)])
def test_it_speaks_up_now_and_then(monkeypatch, capsys, terminal, lines):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    progress = Progress("toy", 10)
    progress.begin(0)
    for seconds, done in ((0.1, 1), (1.0, 2), (31.0, 5)):
        now[0] = seconds
        progress.update(done)
    progress.close()
    assert capsys.readouterr().err.count("toy") == lines


def test_a_quiet_one_says_nothing(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress("toy", 10, quiet=True)
    progress.begin(0)
    now[0] = 99.0
    progress.update(10)
    progress.close()
    assert capsys.readouterr().err == ""

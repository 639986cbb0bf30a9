from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.metrics import LINE_MAX_CHARS, METRICS_PER_LINE_MAX, Progress, parse_line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"step": 10, "loss": 0.52, "lr": 1e-4, "ok": true, "tag": "x"}',
            {"step": 10, "loss": 0.52, "lr": 1e-4},
        ),
        (
            "{'loss': 0.6931, 'learning_rate': 5e-05, 'epoch': 0.5}",
            {"loss": 0.6931, "learning_rate": 5e-05, "epoch": 0.5},
        ),
        ("{'loss': '0.69', 'epoch': '0.5'}", {"loss": 0.69, "epoch": 0.5}),
        (
            "Epoch 3/10 - loss: 0.1234 - val_acc: 0.91",
            {"epoch": 3, "epochs": 10, "loss": 0.1234, "val_acc": 0.91},
        ),
        (
            "epoch [2/5] step [100/200], Loss: 1.5e-3",
            {"epoch": 2, "epochs": 5, "step": 100, "steps": 200, "Loss": 0.0015},
        ),
        (
            " 45%|████▌     | 45/100 [00:10<00:12,  4.5it/s, loss=0.33]",
            {"step": 45, "steps": 100, "loss": 0.33},
        ),
        ("  1%|▏| 1/100 [00:00]\r 46%|████▌| 46/100 [00:10]", {"step": 46, "steps": 100}),
        ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.285", {"epoch": 1, "Loss": 2.285}),
        (
            "Epoch 4: 100%|███| 391/391 [00:12<00:00, 31.2it/s, train_loss=0.91]",
            {"epoch": 4, "step": 391, "steps": 391, "train_loss": 0.91},
        ),
        ("step 250: train loss 2.4567, val loss 2.4819", {"step": 250}),
        ("iter 10: loss=4.1, time=12.3ms", {"step": 10, "loss": 4.1}),
        ("loss: nan", {"loss": math.nan}),
        ("see http://host:8080/x and 12:30:59", {}),
        ("v1.2.3 loaded from /a/b=c", {}),
        ("nothing here", {}),
        ("{not json}", {}),
    ],
)
def test_reads_what_training_scripts_print(line: str, expected: dict[str, float]) -> None:
    assert parse_line(line) == pytest.approx(expected, nan_ok=True)


@given(st.text(max_size=6000))
def test_any_line_gives_a_bounded_number_of_floats(line: str) -> None:
    found = parse_line(line)
    assert len(found) <= METRICS_PER_LINE_MAX + 4
    assert all(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize(
    "line",
    [
        "{" * 9000,
        "[" * 9000,
        '{"a":' * 5000,
        "1" * 9000,
        "a=" * 5000,
        "{'a': " * 3000 + "}",
        '{"a": ' + "9" * 3000 + "}",
        "-" * 4000,
        "99%|" + "|" * 5000,
    ],
)
def test_hostile_lines_are_read_without_an_error(line: str) -> None:
    assert len(parse_line(line)) <= METRICS_PER_LINE_MAX


def test_only_the_end_of_a_long_line_is_looked_at() -> None:
    assert parse_line("loss=1 " + "x" * LINE_MAX_CHARS + " acc=2") == {"acc": 2.0}


def test_progress_prefers_epochs_and_keeps_what_was_known() -> None:
    progress = Progress()
    assert progress.fraction is None
    progress = progress.updated(parse_line("step 5/20"))
    assert progress.fraction == 0.25
    progress = (
        progress.updated(parse_line("Epoch 3/4")).updated(parse_line("loss=1")).updated({"epoch": math.nan})
    )
    assert progress == Progress(epoch=3, epochs=4, step=5, steps=20)
    assert progress.fraction == 0.75
    assert progress.updated({"epoch": 9.0}).fraction == 1.0

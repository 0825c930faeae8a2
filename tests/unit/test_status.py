import pytest

from decoupled_qc.cli import main
from decoupled_qc.training.pieces import share_of_last_piece
from decoupled_qc.training.status import read_status

BEGUN = (
    "2026-01-01 10:00:00,000  step    0/1000  loss 1.2  CE 0.6  eps 0.05  lr 0.0001  variance: task 0.5  left 9.5 min\n"
)
LATER = BEGUN.replace("10:00", "10:30").replace("   0/", " 499/").replace("9.5", "30.1")


def log(folder, network, text):
    file = folder / "logs" / "models" / network / "rep-0.log"
    file.parent.mkdir(parents=True)
    file.write_text(text)


@pytest.fixture
def run(tmp_path):
    log(tmp_path, "task", LATER)
    (tmp_path / "models/task/rep-0").mkdir(parents=True)
    file = tmp_path / "benchmarks/models/task/rep-0.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("s\th:m:s\n5400.0\t1:30:00\n")
    log(tmp_path, "teacher-blur", BEGUN + LATER)
    log(
        tmp_path, "teacher-noise", BEGUN + "2026-01-01 10:01:00,000  SIGTERM: the state is saved in checkpoints/x.pt.\n"
    )
    log(tmp_path, "teacher-spike", BEGUN + "2026-01-01 10:06:00,000  FloatingPointError: not finite\nTraceback\n")
    log(tmp_path, "teacher-wrap", "")
    return tmp_path


def test_each_network_has_its_state_step_and_time_left(run):
    table = read_status(run).set_index("network")
    states = {name.partition("/")[0]: state for name, state in table["state"].items()}
    assert states == {
        "task": "done",
        "teacher-blur": "training",
        "teacher-noise": "saved",
        "teacher-spike": "failed",
        "teacher-wrap": "training",
    }
    blur = table.loc["teacher-blur/rep-0"]
    assert (blur["step"], blur["left_min"], blur["hours"]) == ("500/1000", 30.1, 0.5)


def test_hours_of_a_finished_network_are_those_of_its_job(run):
    assert read_status(run).set_index("network").loc["task/rep-0", "hours"] == 1.5


def test_gpu_hours_count_each_gpu_of_a_training(run):
    words = "2026-01-01 10:00:00,000  Training on {}.\n"
    (run / "logs/models/task/rep-0.log").write_text(words.format("2 GPU") + LATER)
    (run / "logs/models/teacher-blur/rep-0.log").write_text(words.format("the CPU") + BEGUN + LATER)
    hours = read_status(run).set_index("network")["gpu_hours"]
    assert hours["task/rep-0"] == 2 * 1.5
    assert hours.drop("task/rep-0").eq(0).all()


def test_hours_of_a_training_in_pieces_hold_the_earlier_ones_too(run):
    text = "2026-01-01 10:00:00,000  Resuming at step 400 of 1000.\n" + LATER
    (run / "logs/models/teacher-blur/rep-0.log").write_text(text)
    assert read_status(run).set_index("network").loc["teacher-blur/rep-0", "hours"] == pytest.approx(0.5 * 500 / 100)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "step  499/1000  loss 0.2  left 9.0 min",
        "Resuming at step 400 of 1000.",  # no step yet
        "Resuming at step 1000 of 1000.",  # only the end was left
    ],
)
def test_a_piece_that_is_the_first_or_has_no_step_yet_stands_for_itself(log):
    assert share_of_last_piece(log) == 1


def test_the_command_prints_a_line_each_and_the_sum(run, capsys):
    assert main(["status", str(run)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and "500/1000" in lines[2]
    assert last.startswith("1 of 5 begun networks are done; 2.12 h")


def test_a_folder_without_logs_is_refused_in_one_sentence(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "holds no log" in capsys.readouterr().err

"""What a user reads when input cannot be used."""

import pytest
import torch

from decoupled_qc import cli
from decoupled_qc.apply import self_test
from decoupled_qc.errors import InputError, naming, sentence


def test_an_error_on_input_is_one_line_even_with_the_message_of_a_library_in_it():
    try:
        with naming("row 3"):
            raise InputError("a.nii cannot be read (expected 1 byte\n - could the file be damaged?): copy it again.")
    except InputError as error:
        told = "row 3: a.nii cannot be read (expected 1 byte - could the file be damaged?): copy it again."
        assert str(error) == sentence(error) == told


def too_large():
    torch.empty(2**50)


def on_a_small_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def while_reading():
    try:
        raise MemoryError
    except MemoryError as error:
        raise InputError("scan.nii cannot be read to its end (): copy it again.") from error


@pytest.mark.parametrize("lack", [too_large, on_a_small_gpu, while_reading])
def test_whoever_lacks_memory_it_is_a_matter_of_the_machine(monkeypatch, capsys, lack):
    monkeypatch.setattr(self_test, "run", lambda _: lack())
    assert cli.main(["self-test"]) == 3
    told = "The machine's memory is not enough for this: close other programs, or use a smaller input."
    assert capsys.readouterr().err == f"decoupled-qc: {told}\n"


def test_no_other_error_of_pytorch_is_taken_for_a_lack_of_memory(monkeypatch, capsys):
    monkeypatch.setattr(self_test, "run", lambda _: torch.zeros(2) @ torch.zeros(3))
    assert cli.main(["self-test"]) == 1 and "should not have happened" in capsys.readouterr().err

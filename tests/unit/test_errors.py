"""What a user reads when input cannot be used."""

from decoupled_qc.errors import InputError, naming, sentence


def test_an_error_on_input_is_one_line_even_with_the_message_of_a_library_in_it():
    try:
        with naming("row 3"):
            raise InputError("a.nii cannot be read (expected 1 byte\n - could the file be damaged?): copy it again.")
    except InputError as error:
        told = "row 3: a.nii cannot be read (expected 1 byte - could the file be damaged?): copy it again."
        assert str(error) == sentence(error) == told

"""Whatever comes back from a call: an answer of ours or one of three errors, and never another."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.daraja_shapes import callback_bodies, distorted, samples, write
from zanari_api.daraja.errors import DarajaRefused, DarajaUnresolved, Operation
from zanari_api.daraja.refusals import MONEY_OUT
from zanari_api.daraja.session import accepted_in, found_in, success_in
from zanari_api.daraja.stk import read_stk_accepted, read_stk_outcome
from zanari_api.daraja.transport import Answer

RESPONSES = [each["body"] for each in samples("", direction="response")]
bodies = st.sampled_from(RESPONSES).flatmap(distorted).map(write) | callback_bodies
answers = st.builds(Answer, st.integers(100, 599), bodies)


@settings(deadline=None)
@given(st.sampled_from(Operation), answers)
def test_any_answer_is_accepted_refused_or_unresolved(operation: Operation, answer: Answer) -> None:
    try:
        fields = accepted_in(operation, answer)
    except (DarajaRefused, DarajaUnresolved) as error:
        event = error
    else:
        assert 200 <= answer.status < 300
        assert fields["ResponseCode"] in {"0", 0}
        read_stk_accepted(fields)
        return
    assert event.operation is operation
    # A definite refusal of a payment out is only ever one that is on a list, by its code.
    if isinstance(event, DarajaRefused) and operation in MONEY_OUT:
        assert event.error_code is not None or answer.status == 401


@settings(deadline=None)
@given(answers)
def test_any_answer_to_a_query_tells_how_a_prompt_stands_or_nothing(answer: Answer) -> None:
    outcome = found_in(answer, read_stk_outcome)
    assert outcome is None or outcome.result_code


@settings(deadline=None)
@given(answers)
def test_a_success_is_never_made_of_an_error(answer: Answer) -> None:
    try:
        fields = success_in(Operation.B2C, answer)
    except (DarajaRefused, DarajaUnresolved):
        return
    assert fields.get("errorCode") is None

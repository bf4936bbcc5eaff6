"""A faulty generator gets the list of all problems, at the step where they happened."""

from dataclasses import dataclass

import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.schedule import start, workers
from dynamesis.harness.generators.simulate import quick


@dataclass(frozen=True)
class Returns:
    """Answers every question with the same step."""

    step: object

    def op(self, ctx):
        return self.step

    def update(self, ctx, event):
        return self


@dataclass(frozen=True)
class Raises:
    def op(self, ctx):
        raise KeyError("k9")

    def update(self, ctx, event):
        raise KeyError("k9")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (7, ["should return None or a pair, not 7"]),
        (("x", None), ["should return an Op or a Pending, not 'x'"]),
        ((gen.PENDING, 5), ["not a generator: 5"]),
        ((gen.Pending(0), None), ["waits until 0 ns, which is not after 0 ns"]),
        (
            (Op(type="ok", process=9, f="", time=-1), None),
            ["type should be", "f is missing", "time -1 ns lies before"],
        ),
        ((Op(process=9, f="a", time=0), None), ["no thread plays process 9"]),
    ],
)
def test_an_invalid_step_is_shown_with_all_that_is_wrong(step, expected):
    with pytest.raises(gen.GeneratorError) as error:
        quick(Returns(step))
    for problem in (*expected, "generator: Returns", "context: Context(time=0"):
        assert problem in str(error.value)


def test_an_op_for_a_busy_process_is_invalid():
    with pytest.raises(gen.GeneratorError, match="process 0 is busy"):
        quick(_twice())


def _twice():
    op = Op(process=0, f="a", time=0)
    return Returns((op, Returns((op, None))))


def test_an_exception_comes_with_the_generator_and_the_context():
    with pytest.raises(gen.GeneratorError, match=r"raised KeyError\('k9'\)(.|\n)*Raises\(\)"):
        start(gen.limit(1, Raises()), 1).ask(0)
    with pytest.raises(
        gen.GeneratorError, match=r"update of a generator raised(.|\n)*KeyError\('k9'\)"
    ):
        start(Raises(), 1).invoked(Op(process=0, f="a", time=0))


def test_trace_writes_what_is_asked_and_updated():
    lines = []
    quick(gen.trace("t1", lines.append, gen.invoke("a")), concurrency=1)
    assert [line.split(" at ")[0] for line in lines] == ["t1 op"]
    lines.clear()
    quick(gen.trace("t2", lines.append, [gen.invoke("a"), gen.invoke("b")]), concurrency=1)
    kinds = [line.split(" at ")[0] for line in lines]
    assert kinds[:2] == ["t2 op", "t2 update"]
    assert "f='a'" in lines[1]


def test_workers_refuse_what_cannot_be():
    two = workers(2)
    busy = two.invoked(Op(process=0, f="a"))
    with pytest.raises(ValueError, match="process 0 is busy"):
        busy.invoked(Op(process=0, f="a"))
    with pytest.raises(ValueError, match="nothing to complete"):
        two.completed(Op(process=0, f="a", type="ok"))
    with pytest.raises(ValueError, match="no thread plays process 7"):
        two.invoked(Op(process=7, f="a"))


def test_free_threads_queue_up_in_the_order_in_which_they_became_free():
    busy = workers(2, nemesis=False).invoked(Op(process=0, f="a")).invoked(Op(process=1, f="a"))
    freed = busy.completed(Op(process=1, f="a", type="ok")).completed(
        Op(process=0, f="a", type="ok")
    )
    assert busy.free == ()
    assert freed.free == (1, 0)


def test_a_schedule_diagnoses_as_both_wrappers_do():
    for source in (Returns(7), Raises()):
        errors = []
        for wrapped in (gen.friendly_exceptions(gen.validate(source)), gen.diagnosed(source)):
            with pytest.raises(gen.GeneratorError) as error:
                wrapped.op(workers(2).context(0))
            errors.append(str(error.value).replace("Validate(gen=Raises())", "Raises()"))
        assert errors[0] == errors[1]
    assert "update of a generator raised KeyError('k9')" in _updated(gen.diagnosed(Raises()))


def _updated(wrapped):
    with pytest.raises(gen.GeneratorError) as error:
        wrapped.update(workers(2).context(0), Op(type="ok", process=0, f="a", time=0))
    return str(error.value)

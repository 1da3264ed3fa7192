import pytest

from nvlm.evaluation.math_answers import as_number, equal, final_answer, last_boxed, normalise


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("12", "12"), (" $12$. ", "12"), ("x = 12", "12"), ("$f(x) = 12$", "12"), ("12", "x=12"),
        ("1,000", "1000"), ("1{,}000", r"1,\!000"), (r"\$1,000.50", "1000.50"), (r"$\$40$", r"\$40"),
        ("12 cm", r"12 \text{ cm}"), (r"864 \mbox{ inches}^2", "864"), (r"144\text{ m}^3", "144"),
        (r"20\%", "20"), (r"45^\circ", "45^{\\circ}"), ("45 degrees", r"45^\circ"),
        (r"\dfrac{1}{2}", r"\frac12"), (r"\frac1{72}", r"\tfrac{1}{72}"), ("1/2", r"\frac{1}{2}"), (".5", "0.50"),
        (r"-\frac{1}{2}", "-0.5"), (r"\frac{6}{5}", "1.2"), (r"\sqrt3", r"\sqrt{3}"), (r"2 \sqrt 5", r"2\sqrt{5}"),
        (r"\left( 1, \frac{1}{2} \right)", r"(1,\frac12)"), (r"\text{(C)}", "C"), (r"\text{Sunday}", "Sunday"),
        ("an apple", "apple"), (r"18\text{ ways.}", "18"), (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        ("y = x^2 + 1", "y=x^2+1"), ("3 + 4 = 7", "7"),
    ],
)  # fmt: skip
def test_the_same(answer, truth):
    assert equal(answer, truth)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("12", "13"), ("", "12"), ("(1, 2)", "(2, 1)"), ("-5", "5"), (r"\frac{1}{3}", "0.33"), ("1,2", "12"),
        ("0", "x - 3z = 0"), ("a", "4a"), (r"\frac{1}{0}", "1"), (r"\pi", "3.14"), ("[0,1)", "(0,1)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 12 \end{pmatrix}"),
        ("Monday", "Sunday"), ("12^2", "12"),
    ],
)  # fmt: skip
def test_not_the_same(answer, truth):
    assert not equal(answer, truth)


@pytest.mark.parametrize(
    ("solution", "found"),
    [
        ("Final Answer: The final answer is $3$. I hope it is correct.", "$3$"),
        (r"First \boxed{1}. The final answer is $3$. I hope it is correct.", "$3$"),
        (r"The final answer is $1 + 2 = \boxed{3}$. I hope it is correct.", "3"),
        (r"So \boxed{1}, no, \boxed{\frac{2}{3}} it is.", r"\frac{2}{3}"),
        (r"So $\boxed 7$ it is", "7"),
        (r"\fbox{4}", "4"),
        ("The final answer is 3.\nDone.", "3"),
        (r"\boxed{unfinished", None),
        (r"\boxed{}", None),
        ("It is 3.", None),
        ("", None),
    ],
)
def test_where_the_final_answer_stands(solution, found):
    assert final_answer(solution) == found


def test_braces_are_counted():
    assert last_boxed(r"\boxed{\text{a {b} c}} and more") == r"\text{a {b} c}"


def test_names_of_what_was_asked_for_do_not_count_but_equations_stay():
    assert normalise("k = 3") == "3"
    assert normalise("x - 3z = 0") == "x-3z=0"


@pytest.mark.parametrize(("text", "number"), [("-3/4", -0.75), (r"\frac{3}{-4}", -0.75), ("x", None), ("1/0", None)])
def test_numbers(text, number):
    assert as_number(text) == number

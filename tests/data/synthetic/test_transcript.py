from nvlm.data.synthetic.canvas import Canvas, Drawing, Layout
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.tasks import PICTURE_TASKS, draw_problem
from nvlm.data.synthetic.transcript import with_transcript


def canvas() -> Canvas:
    return Canvas(Layout(3, 2, "DejaVuSans", 12, "plain"), 1.0, (255, 255, 255), (0, 0, 0))


def last_turn(drawing: Drawing) -> tuple[str, str]:
    turn = with_transcript(Problem([Turn("table/value", "fox?", "7")], drawing)).turns[-1]
    return turn.question, turn.answer


def test_words_are_read_line_by_line_whatever_the_order_of_writing():
    paper = canvas()
    paper.text(4, 60, "owl")
    paper.text(120, 4, "47")
    paper.text(4, 6, "fox hen")  # two units lower: the same line
    paper.text(120, 60, "12.50")
    assert last_turn(paper.finish()) == ("Transcribe the text.", "fox hen 47\nowl 12.50")


def test_shapes_are_named_from_left_to_right():
    paper = canvas()
    paper.shape("ring", "blue", 100, 30, 10)
    paper.shape("star", "red", 20, 90, 10)
    assert last_turn(paper.finish()) == ("Name the shapes.", "red star, blue ring")


def test_nothing_is_asked_twice():
    paper = canvas()
    paper.text(4, 4, "fox")
    problem = Problem([Turn("read/word", "What does it say?", "fox")], paper.finish())
    assert with_transcript(problem) is problem


def test_every_picture_of_the_blend_has_all_its_text_in_a_turn():
    for index in range(60):
        problem = with_transcript(draw_problem(PICTURE_TASKS, "train", "pictures", index))
        assert problem.drawing is not None
        words = {mark.word for mark in problem.drawing.marks}
        if problem.turns[-1].task == "transcript":
            assert words <= set(problem.turns[-1].answer.replace(",", "").split())

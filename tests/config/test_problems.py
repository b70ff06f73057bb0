from rich.console import Console

from sbanet.config.problems import Problem, problem_table


def test_brackets_are_no_markup():
    console = Console(width=100)
    with console.capture() as capture:
        console.print(problem_table([Problem("loss.terms", "is 'a' (str), expected list[int]")]))
    assert "list[int]" in capture.get()
    assert "1 problem" in capture.get()

"""The errors that reach people: each is one line that says what is wrong and how to mend it."""


class NewsletterError(Exception):
    """Something failed that the person at the keyboard did not do wrong (exit code 1)."""

    exit_code = 1


class UserError(NewsletterError):
    """Something the person can mend: the text names the place, the value and the mend (exit code 2)."""

    exit_code = 2


class Invalid(UserError):
    """Several mistakes in one input, one line each.

    Args:
        problems: the lines, at least one.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))

"""The form in which a person corrects an answer, and how that becomes a review, for `serve` and `review`."""

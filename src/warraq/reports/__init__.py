"""What people read of a student: the report with its pages, cards, comparisons, costs."""

"""The embedded student: its architecture, and how it was taught to read."""

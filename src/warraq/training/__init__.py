"""How a student is trained: audited before, held to the audit while LLaMA-Factory trains it, and what is kept of it."""

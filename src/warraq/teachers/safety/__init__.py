"""Who may see a page, and which answers may become labels."""

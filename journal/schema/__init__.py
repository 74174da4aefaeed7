"""The tables, the views that people read, and the steps that lead to them."""

"""The developer's desk: what goes onto a board, and how it gets there."""

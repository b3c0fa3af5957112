"""What is told about results: the score of a virtual fleet and its chart. Reads files and rows, decides nothing."""

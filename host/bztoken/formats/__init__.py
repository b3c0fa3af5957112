"""Files of others, read strictly: a mistake is told with its place, and nothing is guessed."""

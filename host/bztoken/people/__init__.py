"""People and what they may ask for: registering, consent, tokens handed out, their data shown, withdrawn, erased."""

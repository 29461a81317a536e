"""Why a row is there: evidence, its shares in the score, and the sentence a customer reads."""

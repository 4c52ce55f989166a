"""The calls that programs make of other libraries, on this one: colbert, plaid, sentence_transformers."""

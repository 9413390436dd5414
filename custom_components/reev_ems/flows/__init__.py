"""The steps of the forms, by what they set up."""

"""What development and the tests talk to in place of real services. Nothing here runs in production."""

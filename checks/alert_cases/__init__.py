"""What each alert says and when, as a table. Makes the tests of alerts/tests/; runs none of them."""

"""What the tests of several folders share: builders, fixtures, oracles, and servers that answer wrongly."""

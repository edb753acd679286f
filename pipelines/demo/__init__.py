"""The demo: three simulated studies, the nightly job over them, and a tour of the warehouse."""

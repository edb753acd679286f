"""What people do to a project at the screen: the same rules and the same log as the API, under their own names."""

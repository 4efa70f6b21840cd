WHOSE = "the Space"

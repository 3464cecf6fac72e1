"""What goes over the wire: requests, answers and events, without a web framework."""

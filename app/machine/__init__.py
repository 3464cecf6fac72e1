"""What the service asks of its machine: time, threads, addresses, descriptors."""

"""What is said: events, their bytes on the log and on the socket. Pure."""

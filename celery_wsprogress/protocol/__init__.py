"""The events, and their encoding in the log and on the socket. Pure."""

"""What runs in the server: the log's reader, the sockets, the HTTP answers."""

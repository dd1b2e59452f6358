"""TLS of the port: the certificate, and the layer between a socket and its connection."""

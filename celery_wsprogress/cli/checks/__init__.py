"""What ``check`` looks at: each module returns what it has found out about one part."""

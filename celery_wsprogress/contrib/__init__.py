"""What stands in for, or goes along with, other packages. Nothing here is loaded unless asked."""

"""What people read: code that shows a failure, and tables of verdicts."""

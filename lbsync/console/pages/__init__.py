"""What is asked over HTTP and what is answered: pages, the API beside them, and streams of changes."""

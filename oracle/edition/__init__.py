"""The published documents made readable: Markdown to HTML, figures drawn from the code, pages, a book, and its PDF."""

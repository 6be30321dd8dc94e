"""Reports from run folders: figures, tables and one page that opens offline."""

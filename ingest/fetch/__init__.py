"""Pages of the web, had safely: which addresses may be asked, connecting to what was checked, robots.txt, sitemaps."""

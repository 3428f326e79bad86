"""`dpedkit figure`: the same places of photos by several methods, laid out for print."""

"""One self-contained page about a folder of runs, its pictures, and its tables in other formats."""

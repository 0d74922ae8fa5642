"""The app behind the pages: a folder for each page, drawings in `components`, and what several pages share here."""

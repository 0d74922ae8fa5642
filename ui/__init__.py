"""What pages share: the shell, the session, forms, the rail, the theme."""

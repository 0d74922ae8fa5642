"""Parts of the plan page: advice, evidence, the editor, penalties, extra data, trials."""

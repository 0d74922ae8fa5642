"""Models of the Hugging Face hub: what a repository holds, and how the files that are needed come into the workspace.

names      hub:OWNER/NAME[@REVISION], as a person writes it
listing    the files of a repository at one commit, with sizes and checksums
selection  which of them are needed: one set of weights, the configuration, the tokenizer
transfer   one file, over plain HTTP: goes on where it broke off, and is checked
faults     what went wrong, in words
fetch      the whole: a complete and checked folder, or none
"""

"""Guessed labels: what zero-shot says about the items of a data set, and what a person answers to it.

    sorting    a question (class names, templates, backbone) and its result, stored with the data set
    answers    what a person says about single items, as they say it; a random sample to measure with
    origin     which labels of a data set are guesses, where it was made from a sorting

All of it lies in the folder of the data set whose items were sorted. Nothing here needs a model.
"""

"""Pretrained networks: their data contracts, their stages and how they are built."""

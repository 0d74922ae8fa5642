"""One file a family of backbones; each registers its members. Importing them needs no torch."""

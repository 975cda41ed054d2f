"""The C target: a program in C, ``c/trainer.c`` and ``c/trainer.h``, and what calls it, ``c/trainer.py``."""

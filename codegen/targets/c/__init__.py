"""The C target: ``c/trainer.c`` and ``c/trainer.h``."""
